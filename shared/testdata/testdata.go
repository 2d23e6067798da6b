// Package testdata holds the test vectors, which README.md describes. It embeds
// them, so that a test that is compiled to WebAssembly, and has no file system in a
// browser, reads the same files as a native one. Only tests import it.
package testdata

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed */*.json
var files embed.FS

// Each decodes the vectors of a folder, one after the other, and calls f with each
// file's name, without its extension. A member that V has no place for is an error,
// so that none goes unread.
func Each[V any](folder string, f func(name string, vector V)) error {
	names, err := fs.Glob(files, folder+"/*.json")
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return fmt.Errorf("there are no vectors in %q", folder)
	}
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		var v V
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f(strings.TrimSuffix(path.Base(name), ".json"), v)
	}
	return nil
}

// File returns the bytes of one vector.
func File(folder, name string) ([]byte, error) { return files.ReadFile(folder + "/" + name + ".json") }
