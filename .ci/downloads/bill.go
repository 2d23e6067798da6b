package main

import (
	"io"
	"path/filepath"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// writeBill writes a program's bill of materials, in CycloneDX's format: the
// modules that are linked into it on any platform.
func (r *release) writeBill(name, about string, linked modules) error {
	self := &cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: name, Version: r.version, Description: about,
		PackageURL: "pkg:github/whop-license/whop-license@" + r.version + "#" + name,
		Licenses:   &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}},
	}
	bill := cdx.NewBOM()
	bill.Metadata = &cdx.Metadata{Component: self}
	var components []cdx.Component
	var refs []string
	for _, m := range linked {
		var licenses cdx.Licenses
		for _, id := range m.licenses {
			licenses = append(licenses, cdx.LicenseChoice{License: &cdx.License{ID: id}})
		}
		url := "pkg:golang/" + m.path + "@" + m.version
		components = append(components, cdx.Component{
			BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.path, Version: m.version,
			Scope: cdx.ScopeRequired, PackageURL: url, Licenses: &licenses,
		})
		refs = append(refs, url)
	}
	bill.Components = &components
	bill.Dependencies = &[]cdx.Dependency{{Ref: name, Dependencies: &refs}}
	return writeFile(filepath.Join(r.folder, name+"-"+r.version+".cdx.json"), func(w io.Writer) error {
		return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bill, cdx.SpecVersion1_6)
	})
}

// makeModuleBill writes the bill of the npm package, which has no dependencies
// but those of the WebAssembly module in it.
func (r *release) makeModuleBill() error {
	linked, err := r.linked("./wasm", platform{goos: "js", goarch: "wasm"})
	if err != nil {
		return err
	}
	return r.writeBill("whop-license", "The npm package.", linked)
}
