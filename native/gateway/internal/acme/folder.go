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

// prepare creates the folder with access for its owner only. An existing one
// stays as it is: it may hold other things, or be a volume that belongs to
// another user. The files put into it are for their owner only in any case.
func prepare(folder string) error { return os.MkdirAll(folder, 0o700) }

// Stored returns a domain's certificate from a folder, or nil if there is none.
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
