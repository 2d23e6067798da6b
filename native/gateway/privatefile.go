//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// createPrivate creates a file that only its owner may read. The file must not
// exist.
func createPrivate(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// ownAsFolder gives a file to the owner of its folder.
func ownAsFolder(f *os.File) error {
	folder, err := os.Stat(filepath.Dir(f.Name()))
	if err != nil {
		return err
	}
	owner, _ := folder.Sys().(*syscall.Stat_t)
	return f.Chown(int(owner.Uid), int(owner.Gid))
}
