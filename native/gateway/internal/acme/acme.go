// Package acme gets certificates from a CA by ACME (RFC 8555), keeps them in a
// folder that several gateways may share, and renews them.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
)

// Protocol is what a server has to offer, beside HTTP, for TLS-ALPN-01.
const Protocol = acmez.ACMETLS1Protocol

// Config is what a [Manager] works by and with. Every field but Email, HTTPPort
// and Roots is needed.
type Config struct {
	Domains   []string       // the first is shown to clients that ask for none of them
	Email     string         // where the CA writes to
	Folder    string         // is made for its owner alone
	Directory string         // the CA's URL
	Roots     *x509.CertPool // who vouches for the CA; nil: whoever the system trusts
	Listen    *net.TCPAddr   // where TLS is served
	HTTPPort  int            // where [Manager.Challenges] are served, on the same host; 0: nowhere

	Look  time.Duration // how often is looked whether a renewal is due
	Pause time.Duration // how long after a first failure the CA is asked again
	Log   *slog.Logger
}

// Manager has the certificates of some domains.
type Manager struct {
	config  Config
	domains []*domain
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuer  unattended
	ended   sync.WaitGroup
}

// domain is what is known of one of them.
type domain struct {
	name string
	wake chan struct{}

	mu          sync.Mutex
	certificate *tls.Certificate // nil: there is none yet
	problem     string           // what kept the CA from giving one, last time
}

// unattended is an issuer that asks no one for an email address, as certmagic does
// on standard input otherwise.
type unattended struct{ *certmagic.ACMEIssuer }

func (u unattended) PreCheck(ctx context.Context, names []string, _ bool) error {
	return u.ACMEIssuer.PreCheck(ctx, names, false)
}

// New returns a manager of the certificates that are in the folder, which it makes
// if need be. [Manager.Begin] gets those that are missing.
func New(c Config) (*Manager, error) {
	if err := prepare(c.Folder); err != nil {
		return nil, err
	}
	m := &Manager{config: c}
	logger := details(c.Log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		// The cache would renew what is in it by a schedule of its own.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return nil, errors.New("renewals are not the cache's")
		},
		RenewCheckInterval: c.Look,
		Logger:             logger,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Folder},
		OCSP:    certmagic.OCSPConfig{DisableStapling: true}, // it would need the network at start
		Logger:  logger,
	})
	m.issuer = unattended{certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA: c.Directory, Email: c.Email, Agreed: true, TrustedRoots: c.Roots, Logger: logger,
		ListenHost: c.Listen.IP.String(), AltTLSALPNPort: c.Listen.Port,
		AltHTTPPort: c.HTTPPort, DisableHTTPChallenge: c.HTTPPort == 0,
	})}
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	for _, name := range c.Domains {
		d := &domain{name: name, wake: make(chan struct{}, 1)}
		m.domains = append(m.domains, d)
		if err := m.load(context.Background(), d); err != nil && !isMissing(err) {
			c.Log.Error("a certificate in the folder can't be used", "domain", name, "error", err.Error())
		}
	}
	return m, nil
}

// Begin gets and renews certificates until the context ends.
func (m *Manager) Begin(ctx context.Context) {
	for _, d := range m.domains {
		m.ended.Go(func() { m.keep(ctx, d) })
	}
}

// Close waits for what was begun, whose context must have ended.
func (m *Manager) Close() {
	m.ended.Wait()
	m.cache.Stop()
}

// Again looks at the folder, and asks the CA if need be, at once.
func (m *Manager) Again() {
	for _, d := range m.domains {
		select {
		case d.wake <- struct{}{}:
		default: // it was woken already
		}
	}
}

// Get returns the certificate that a client is shown.
func (m *Manager) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	i := max(0, slices.IndexFunc(m.domains, func(d *domain) bool { return strings.EqualFold(d.name, hello.ServerName) }))
	d := m.domains[i]
	if slices.Contains(hello.SupportedProtos, Protocol) {
		if !strings.EqualFold(d.name, hello.ServerName) {
			return nil, errors.New("no certificate is asked for under this name")
		}
		return m.magic.GetCertificate(hello)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.certificate == nil {
		return nil, errors.New("there is no certificate yet")
	}
	return d.certificate, nil
}

// Challenges answers what a CA asks by HTTP-01. Everything else is not found: it
// is for HTTPS, and a redirection would hide from its sender that it was not.
func (m *Manager) Challenges() http.Handler {
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Nothing is here. Use https.", http.StatusNotFound)
	})
	solve := m.issuer.HTTPChallengeHandler(other)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !slices.ContainsFunc(m.domains, func(d *domain) bool { return strings.EqualFold(d.name, host) }) {
			other(w, r)
			return
		}
		solve.ServeHTTP(w, r)
	})
}

// Expiry is when the first of the certificates expires, and the Unix epoch where
// one is missing.
func (m *Manager) Expiry() time.Time {
	first := time.Unix(1<<40, 0)
	for _, d := range m.domains {
		d.mu.Lock()
		switch {
		case d.certificate == nil:
			first = time.Unix(0, 0)
		case d.certificate.Leaf.NotAfter.Before(first):
			first = d.certificate.Leaf.NotAfter
		}
		d.mu.Unlock()
	}
	return first
}

// Missing says which domain has no certificate that is good, and why, or "".
func (m *Manager) Missing() string {
	for _, d := range m.domains {
		d.mu.Lock()
		certificate, problem := d.certificate, d.problem
		d.mu.Unlock()
		if problem == "" {
			problem = "the CA is being asked"
		}
		switch {
		case certificate == nil:
			return fmt.Sprintf("there is no certificate for %s yet: %s", d.name, problem)
		case time.Now().After(certificate.Leaf.NotAfter):
			return fmt.Sprintf("the certificate for %s has expired: %s", d.name, problem)
		}
	}
	return ""
}
