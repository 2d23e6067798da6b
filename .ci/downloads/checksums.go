package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const checksums = "SHA256SUMS"

// writeChecksums writes those of all files of a folder, as sha256sum reads them.
func writeChecksums(folder string) error {
	entries, err := os.ReadDir(folder) // in the order of their names
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, checksums), func(w io.Writer) error {
		for _, e := range entries {
			if e.Name() == checksums {
				continue
			}
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%x  %s\n", sha256.Sum256(data), e.Name()); err != nil {
				return err
			}
		}
		return nil
	})
}
