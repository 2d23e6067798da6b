package acme

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/certmagic"
)

// prepare makes the folder, and keeps others out of it: private keys are in it.
func prepare(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(folder)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(folder, 0o700)
	}
	return err
}

// Stored returns the certificate of a domain that is in a folder, or nil where
// there is none.
func Stored(folder, directory, domain string) (*x509.Certificate, error) {
	key := certmagic.StorageKeys.SiteCert((&certmagic.ACMEIssuer{CA: directory}).IssuerKey(), domain)
	file := filepath.Join(folder, filepath.FromSlash(key))
	chain, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, fmt.Errorf("%s: is not a certificate", file)
	}
	return x509.ParseCertificate(block.Bytes)
}
