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

// prepare makes the folder for its owner alone. One that exists stays as it is:
// it may hold other things, or be a volume that belongs to another user. What is
// put into it is for its owner alone in any case.
func prepare(folder string) error { return os.MkdirAll(folder, 0o700) }

// Stored returns the certificate of a domain that is in a folder, or nil where
// there is none.
func Stored(folder, directory, domain string) (*x509.Certificate, error) {
	file := certificateFile(folder, directory, domain)
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

func certificateFile(folder, directory, domain string) string {
	key := certmagic.StorageKeys.SiteCert((&certmagic.ACMEIssuer{CA: directory}).IssuerKey(), domain)
	return filepath.Join(folder, filepath.FromSlash(key))
}
