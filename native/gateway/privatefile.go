//go:build !windows

package main

import "os"

// createPrivate creates a file that only its owner may read. The file must not
// exist.
func createPrivate(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
