package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates are what HTTPS is served with.
type certificates interface {
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Again() // looks for newer ones at once
	Expiry() time.Time
}

// certificate is a TLS certificate in files that are renewed while it is used.
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

// Expiry is when the certificate in use expires.
func (c *certificate) Expiry() time.Time {
	pair, _ := c.Get(nil)
	return pair.Leaf.NotAfter
}

// Again reads the files now, whether or not they look changed.
func (c *certificate) Again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = time.Time{}
	if c.reload() {
		c.log.Info("the certificate's files were read again")
	}
}

func (c *certificate) reload() (done bool) {
	c.checked = time.Now()
	if err := c.load(); err != nil {
		c.log.Error("the certificate's files can't be used; the certificate from before still is, until it expires", "error", err.Error())
		return false
	}
	return true
}
