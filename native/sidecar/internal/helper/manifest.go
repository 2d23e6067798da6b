package helper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxManifest bounds how many bytes of a manifest are read.
const maxManifest = 64 << 10

// manifestName is the manifest's name beside the program, where the program reads which
// extension may start it. On Windows, browsers read it there too.
const manifestName = "manifest.json"

// A manifest tells a browser which program an extension may start.
type manifest struct {
	Name              string   `json:"name"`
	Description       string   `json:"description"`
	Path              string   `json:"path"`
	Type              string   `json:"type"`
	AllowedOrigins    []string `json:"allowed_origins,omitempty"`
	AllowedExtensions []string `json:"allowed_extensions,omitempty"`
}

// manifestFor returns the manifest of an extension's host whose program has this path.
func manifestFor(e Extension, program string) manifest {
	m := manifest{Name: e.Host(), Description: "Tells whop-license's browser helper an id of this machine", Path: program, Type: "stdio"}
	if e.family == firefox {
		m.AllowedExtensions = []string{e.ID}
	} else {
		m.AllowedOrigins = []string{"chrome-extension://" + e.ID + "/"}
	}
	return m
}

func (m manifest) allows(id string) bool {
	return slices.Contains(m.AllowedExtensions, id) || slices.Contains(m.AllowedOrigins, "chrome-extension://"+id+"/")
}

func (m manifest) encode() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// A manifest in a browser's folder is one of:
type ownership int

const (
	absent  ownership = iota
	own               // written by this package
	foreign           // written by something else, or unreadable
)

// lookAt reads the manifest of an extension's host from a file. A file is own if it names
// the host and the extension, and a program in the folder that has the host's name.
func lookAt(path string, e Extension) (manifest, ownership) {
	info, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return manifest{}, absent
	}
	if err != nil || !info.Mode().IsRegular() {
		return manifest{}, foreign
	}
	m, err := readManifest(path)
	if err != nil || m.Name != e.Host() || !m.allows(e.ID) || filepath.Base(filepath.Dir(m.Path)) != e.Host() {
		return m, foreign
	}
	return m, own
}

func readManifest(path string) (manifest, error) {
	var m manifest
	file, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err != nil {
		return m, err
	}
	if len(b) > maxManifest {
		return m, fmt.Errorf("%s is longer than %d bytes", path, maxManifest)
	}
	return m, json.Unmarshal(b, &m)
}

// writeFile replaces a file's content atomically, and reports whether it had
// that content before.
func writeFile(path string, content []byte, mode fs.FileMode) (changed bool, err error) {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		if info, err := os.Stat(path); err == nil && (info.Mode().Perm() == mode || onWindows) {
			return false, nil
		}
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return false, err
	}
	temporary, err := os.CreateTemp(folder, ".whop-license-*")
	if err != nil {
		return false, err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil && !onWindows {
		err = temporary.Chmod(mode)
	}
	if err == nil {
		err = temporary.Sync()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return false, err
	}
	return true, replace(temporary.Name(), path)
}
