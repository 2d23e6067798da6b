package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates provides the certificate for HTTPS.
type certificates interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Reload() // looks for a newer one at once
	Expiry() time.Time
}

// certificate is a TLS certificate in files, which may be renewed at any time.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time
	checked time.Time
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.load()
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	c.checked = time.Now()
	if info.ModTime().Equal(c.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		c.current, c.changed = &pair, info.ModTime()
	}
	return err
}

// Get returns the certificate, from the files if they have changed. While they
// can't be read, as in the middle of a renewal, the last one is used.
func (c *certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) > time.Minute {
		c.reload()
	}
	return c.current, nil
}

// Expiry returns when the certificate in use expires.
func (c *certificate) Expiry() time.Time {
	pair, _ := c.Get(nil)
	return pair.Leaf.NotAfter
}

// Reload reads the files now, whether or not they look changed.
func (c *certificate) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = time.Time{}
	if c.reload() {
		c.log.Info("reloaded the certificate files")
	}
}

func (c *certificate) reload() (done bool) {
	c.checked = time.Now()
	if err := c.load(); err != nil {
		c.log.Error("the certificate files can't be used; the gateway keeps using the previous certificate until it expires", "error", err.Error())
		return false
	}
	return true
}
