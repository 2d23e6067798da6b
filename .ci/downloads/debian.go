package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
)

const maintainer = "The whop-license authors <whop-license@users.noreply.github.com>"

// makeDebian makes a program's package for Debian, from the files in deb/ and what
// it is given.
func (r *release) makeDebian(p program, target platform, file string, notices []byte) error {
	unit, err := r.packagedUnit()
	if err != nil {
		return err
	}
	manual, err := r.manual(p)
	if err != nil {
		return err
	}
	license, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	scripts := filepath.Join(r.root, ".ci/downloads/deb")
	docs := "/usr/share/doc/" + p.name + "/"
	contents := files.Contents{
		content(file, "/usr/bin/"+p.name, 0o755),
		content(filepath.Join(r.root, "native/gateway/settings.sample"), "/usr/share/"+p.name+"/settings.sample", 0o644),
		content(filepath.Join(scripts, "lintian-overrides"), "/usr/share/lintian/overrides/"+p.name, 0o644),
	}
	for destination, text := range map[string][]byte{
		"/usr/lib/systemd/system/" + p.name + ".service": unit,
		"/usr/share/man/man8/" + p.name + ".8.gz":        zipped(manual),
		docs + "copyright":                               copyright(license),
		docs + "changelog.gz":                            zipped(r.changelog(p)),
		docs + "THIRD-PARTY-NOTICES.gz":                  zipped(notices),
	} {
		source := filepath.Join(r.work, target.name, strings.ReplaceAll(destination, "/", "_"))
		if err := os.WriteFile(source, text, 0o644); err != nil {
			return err
		}
		contents = append(contents, content(source, destination, 0o644))
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: p.name, Arch: target.goarch, Platform: "linux", Version: r.version,
		Section: "net", Priority: "optional", Maintainer: maintainer, Homepage: homepage, License: "MIT",
		Description: description, MTime: epoch,
		Overridables: nfpm.Overridables{
			Depends:  []string{"ca-certificates"},
			Contents: contents,
			Scripts: nfpm.Scripts{
				PostInstall: filepath.Join(scripts, "postinst"),
				PreRemove:   filepath.Join(scripts, "prerm"),
				PostRemove:  filepath.Join(scripts, "postrm"),
			},
			Deb: nfpm.Deb{Compression: "xz"},
		},
	})
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	return writeFile(filepath.Join(r.folder, deb.Default.ConventionalFileName(info)), func(w io.Writer) error {
		return deb.Default.Package(info, w)
	})
}

const description = `License checks for apps sold on Whop
 The server that keeps a seller's API key secret, answers Whop's retired
 validate_license call from Whop's current API, and signs its answers.
 .
 After the installation, whop-license-gateway init asks for what it needs.`

func content(source, destination string, mode os.FileMode) *files.Content {
	return &files.Content{Source: source, Destination: destination, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: epoch}}
}

// packagedUnit is the unit for a program in /usr/bin, with the signing key that
// init makes.
func (r *release) packagedUnit() ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(r.root, "native/gateway/whop-license-gateway.service"))
	if err != nil {
		return nil, err
	}
	begin := strings.Index(string(source), "[Unit]")
	if begin < 0 {
		return nil, fmt.Errorf("the systemd unit has no section [Unit]")
	}
	unit := string(source[begin:]) // what is before it says how to install the unit by hand
	for old, replacement := range map[string]string{
		"/usr/local/bin/":                       "/usr/bin/",
		"#LoadCredential=signing-key:":          "LoadCredential=signing-key:",
		"#Environment=WHOP_LICENSE_SIGNING_KEY": "Environment=WHOP_LICENSE_SIGNING_KEY",
	} {
		if !strings.Contains(unit, old) {
			return nil, fmt.Errorf("the systemd unit has no %s, which the package's replaces", old)
		}
		unit = strings.ReplaceAll(unit, old, replacement)
	}
	return []byte("# whop-license-gateway init writes the files that are named here.\n\n" + unit), nil
}

// manual is the page for man, made of what the program's --help says.
func (r *release) manual(p program) ([]byte, error) {
	cmd := exec.Command("go", "run", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "./native/"+p.source, "--help")
	cmd.Dir, cmd.Stderr = r.root, os.Stderr
	help, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("--help: %w", err)
	}
	text := strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n.", "\n\\&.", "\n'", "\n\\&'").Replace("\n" + string(help))
	return fmt.Appendf(nil, `.TH %s 8 "" "%s" "whop-license"
.SH NAME
%s \- license checks for apps sold on Whop
.SH DESCRIPTION
.nf%s.fi
.SH SEE ALSO
%s
`, strings.ToUpper(p.name), r.version, strings.ReplaceAll(p.name, "-", `\-`), text, documentation+"deploying.md"), nil
}

func copyright(license []byte) []byte {
	text, _ := bytes.CutPrefix(bytes.TrimSpace(license), []byte("MIT License\n\n"))
	owner, terms, _ := strings.Cut(string(text), "\n\n")
	terms = " " + strings.ReplaceAll(strings.ReplaceAll(terms, "\n", "\n "), "\n \n", "\n .\n")
	return fmt.Appendf(nil, `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: whop-license
Source: %s
Comment: THIRD-PARTY-NOTICES.gz has the licenses of what is linked into the program.

Files: *
Copyright: %s
License: Expat

License: Expat
%s
`, homepage, strings.TrimPrefix(owner, "Copyright (c) "), terms)
}

// changelog is Debian's, with one entry that names the real one.
func (r *release) changelog(p program) []byte {
	return fmt.Appendf(nil, "%s (%s) stable; urgency=medium\n\n  * CHANGELOG.md says what is new:\n    %s/blob/main/CHANGELOG.md\n\n -- %s  %s\n",
		p.name, strings.Replace(r.version, "-", "~", 1), homepage, maintainer, epoch.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one that exists
	w.Write(data)
	w.Close()
	return b.Bytes()
}
