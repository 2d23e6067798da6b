package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// entry is a file of an archive.
type entry struct {
	name string
	mode os.FileMode
	data []byte
}

// makeArchive makes a .tar.gz, or for Windows a .zip, with one folder in it.
func (r *release) makeArchive(p program, target platform, file string, notices []byte) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	entries := []entry{
		{filepath.Base(file), 0o755, data},
		{"THIRD-PARTY-NOTICES", 0o644, notices},
		{"README.md", 0o644, r.readme(p)},
	}
	sources := map[string]string{"LICENSE": "LICENSE"}
	if p.debian {
		sources["settings"] = "native/gateway/settings.sample"
		if target.goos == "linux" {
			sources["whop-license-gateway.service"] = "native/gateway/whop-license-gateway.service"
		}
	}
	for name, source := range sources {
		data, err := os.ReadFile(filepath.Join(r.root, source))
		if err != nil {
			return err
		}
		entries = append(entries, entry{name, 0o644, data})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	top := fmt.Sprintf("%s-%s-%s", p.name, r.version, target.name)
	for i := range entries {
		entries[i].name = top + "/" + entries[i].name
	}
	write, suffix := writeTar, ".tar.gz"
	if target.goos == "windows" {
		write, suffix = writeZip, ".zip"
	}
	return writeFile(filepath.Join(r.folder, top+suffix), func(w io.Writer) error { return write(w, entries) })
}

// readme says what an archive holds and where the rest is said.
func (r *release) readme(p program) []byte {
	page, more := "sidecar.md", ""
	if p.debian {
		page = "hosting.md"
		more = "`settings` lists the settings that most sellers change, and the gateway's command `init` writes them. "
	}
	return fmt.Appendf(nil, "# %s %s\n\n%s %s%s has all that this file says too little of.\n\nThe program is under the MIT license; THIRD-PARTY-NOTICES has the licenses of what is linked into it.\n",
		p.name, r.version, p.about, more, documentation+page)
}

const (
	homepage      = "https://github.com/whop-license/whop-license"
	documentation = homepage + "/blob/main/web/docs/"
)

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	fmt.Println(filepath.Base(name))
	return f.Close()
}

func writeTar(w io.Writer, entries []entry) error {
	zipped, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: int64(e.mode), Size: int64(len(e.data)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(e.data); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

func writeZip(w io.Writer, entries []entry) error {
	archive := zip.NewWriter(w)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: epoch}
		header.SetMode(e.mode)
		f, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := f.Write(e.data); err != nil {
			return err
		}
	}
	return archive.Close()
}
