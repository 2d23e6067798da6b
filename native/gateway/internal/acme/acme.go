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

// Protocol is the ALPN protocol that a server must offer, besides HTTP, for
// TLS-ALPN-01.
const Protocol = acmez.ACMETLS1Protocol

// Config configures a [Manager]. Every field but Email, HTTPPort and Roots is
// required.
type Config struct {
	Domains   []string       // clients that ask for none of them get the first one's certificate
	Email     string         // address at which the CA may contact the seller
	Folder    string         // created with access for its owner only
	Directory string         // the URL of the CA's ACME directory
	Roots     *x509.CertPool // trusted roots for the CA's own server; nil: the system's
	Listen    *net.TCPAddr   // where TLS is served
	HTTPPort  int            // where [Manager.Challenges] are served, on the same host; 0: nowhere

	CheckInterval time.Duration // how often to check whether a renewal is due
	Backoff       time.Duration // how long after a first failure the CA is asked again
	Log           *slog.Logger
}

// Manager gets and holds the certificates of some domains.
type Manager struct {
	config  Config
	domains []*domain
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuer  unattended
	ended   sync.WaitGroup
}

// domain is the state of one domain.
type domain struct {
	name string
	wake chan struct{}

	mu          sync.Mutex
	certificate *tls.Certificate // nil: there is none yet
	problem     string           // why the last attempt to get one failed
}

// unattended is an issuer that never asks for an email address; certmagic would
// ask on standard input.
type unattended struct{ *certmagic.ACMEIssuer }

func (u unattended) PreCheck(ctx context.Context, names []string, _ bool) error {
	return u.ACMEIssuer.PreCheck(ctx, names, false)
}

// New returns a manager of the certificates in the folder, which it creates if
// necessary. [Manager.Begin] gets those that are missing.
func New(c Config) (*Manager, error) {
	if err := prepare(c.Folder); err != nil {
		return nil, err
	}
	m := &Manager{config: c}
	logger := debugLogger(c.Log)
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		// Without this, the cache would renew certificates on a schedule of its own.
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) {
			return nil, errors.New("the cache does not renew certificates")
		},
		RenewCheckInterval: c.CheckInterval,
		Logger:             logger,
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: c.Folder},
		OCSP:    certmagic.OCSPConfig{DisableStapling: true}, // stapling would need the network at start
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

// Close waits for what Begin started. The context given to Begin must have
// ended.
func (m *Manager) Close() {
	m.ended.Wait()
	m.cache.Stop()
}

// Reload looks at the folder at once, and asks the CA if necessary.
func (m *Manager) Reload() {
	for _, d := range m.domains {
		select {
		case d.wake <- struct{}{}:
		default: // it was woken already
		}
	}
}

// Get returns the certificate for a client's TLS handshake.
func (m *Manager) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	i := max(0, slices.IndexFunc(m.domains, func(d *domain) bool { return strings.EqualFold(d.name, hello.ServerName) }))
	d := m.domains[i]
	if slices.Contains(hello.SupportedProtos, Protocol) {
		if !strings.EqualFold(d.name, hello.ServerName) {
			return nil, errors.New("the gateway gets no certificate for this name")
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

// Challenges answers a CA's HTTP-01 challenges. Everything else gets a 404: it
// should use HTTPS, and a redirect would hide that from its sender.
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

// Expiry returns when the first of the certificates expires, or the Unix epoch
// if one is missing.
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

// Missing says which domain has no valid certificate, and why, or returns "".
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
