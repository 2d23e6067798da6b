//go:build pebble

package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func contains(logs *gatewaytest.Buffer, text string) bool { return count(logs, text) > 0 }

func count(logs *gatewaytest.Buffer, text string) int { return strings.Count(logs.String(), text) }

// nameOf is a test's own domain, as certmagic keeps the challenges of a process
// by their domains.
func nameOf(t *testing.T) string { return strings.ToLower(t.Name()) + ".example.com" }

var eventually = gatewaytest.Eventually

// site is a server whose certificates a manager gets.
type site struct {
	*Manager
	addr string
	logs *gatewaytest.Buffer
	stop func()
}

// front are the two ports on which a site serves, which a CA has to know.
type front struct{ http, tls net.Listener }

func listen(t *testing.T) front {
	t.Helper()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return front{plain, secure}
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// serve serves as the gateway does, and gets what the configuration says.
func serve(t *testing.T, on front, ca *gatewaytest.CA, change func(*Config)) *site {
	t.Helper()
	s := &site{addr: on.tls.Addr().String(), logs: &gatewaytest.Buffer{}}
	c := Config{
		Domains: []string{nameOf(t)}, Folder: filepath.Join(t.TempDir(), "acme"), Directory: ca.Directory, Roots: ca.Roots,
		Listen: on.tls.Addr().(*net.TCPAddr), HTTPPort: port(on.http),
		Look: 100 * time.Millisecond, Pause: 100 * time.Millisecond, Log: slog.New(slog.NewJSONHandler(io.MultiWriter(s.logs, t.Output()), nil)),
	}
	if change != nil {
		change(&c)
	}
	var err error
	s.Manager, err = New(c)
	require.NoError(t, err)
	challenges := &http.Server{Handler: s.Challenges()}
	secure := &http.Server{
		Handler:   http.NotFoundHandler(),
		TLSConfig: &tls.Config{GetCertificate: s.Get, NextProtos: []string{"h2", "http/1.1", Protocol}},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	go func() { _ = challenges.Serve(on.http) }()
	go func() { _ = secure.ServeTLS(on.tls, "", "") }()
	ctx, cancel := context.WithCancel(t.Context())
	s.Begin(ctx)
	s.stop = sync.OnceFunc(func() { cancel(); s.Close(); _ = challenges.Close(); _ = secure.Close() })
	t.Cleanup(s.stop)
	return s
}

// certificate returns the certificate that a client is shown, and which the CA
// must vouch for.
func (s *site) certificate(t *testing.T, ca *gatewaytest.CA) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: nameOf(t), RootCAs: ca.Root()})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func (s *site) ready(t *testing.T) {
	t.Helper()
	eventually(t, "there is a certificate", func() bool { return s.Missing() == "" })
}

func TestHTTP01(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), 1, 90*24*time.Hour) // nothing listens on port 1
	s := serve(t, on, ca, nil)
	s.ready(t)
	leaf := s.certificate(t, ca)
	assert.Equal(t, []string{name}, leaf.DNSNames)
	assert.Equal(t, leaf.NotAfter, s.Expiry())
	stored, err := Stored(s.config.Folder, ca.Directory, name)
	require.NoError(t, err)
	assert.True(t, leaf.Equal(stored))
	assertPrivate(t, s.config.Folder)
}

func TestTLSALPN01(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, 1, port(on.tls), 90*24*time.Hour)
	s := serve(t, on, ca, func(c *Config) { c.HTTPPort = 0 })
	s.ready(t)
	assert.Equal(t, []string{name}, s.certificate(t, ca).DNSNames)
	_, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: "other.example.com", NextProtos: []string{Protocol}, InsecureSkipVerify: true})
	require.Error(t, err)
	assert.Equal(t, 1, ca.Orders(), "and none for a name that a stranger gave")
}

// assertPrivate looks whether others can open what is in a folder.
func assertPrivate(t *testing.T, folder string) {
	t.Helper()
	keys := 0
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		switch {
		case d.IsDir():
			assert.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
		case filepath.Ext(path) == ".key":
			keys++
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), path)
		}
		return nil
	}))
	assert.Equal(t, 2, keys, "the account's and the certificate's")
}

// A certificate is renewed, and while the CA is down the one from before is used.
func TestRenewal(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 6*time.Second)
	s := serve(t, on, ca, nil)
	s.ready(t)
	first := s.certificate(t, ca)
	ca.Down(true)
	eventually(t, "a renewal fails", func() bool { return contains(s.logs, "the certificate was not renewed") })
	assert.True(t, first.Equal(s.certificate(t, ca)))
	assert.Empty(t, s.Missing())
	eventually(t, "it has expired", func() bool { return s.Missing() != "" })
	assert.Contains(t, s.Missing(), "the certificate for "+name+" has expired: ")
	ca.Down(false)
	s.ready(t)
	assert.False(t, first.Equal(s.certificate(t, ca)))
}

func TestCAThatIsDownAtStart(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 90*24*time.Hour)
	ca.Down(true)
	s := serve(t, on, ca, nil)
	assert.Contains(t, s.Missing(), "there is no certificate for "+name+" yet: ")
	eventually(t, "it was asked twice", func() bool { return count(s.logs, "the gateway has no certificate") > 1 })
	assert.Contains(t, s.Missing(), "EOF")
	assert.Zero(t, s.Expiry().Unix())
	ca.Down(false)
	s.ready(t)
	s.certificate(t, ca)
	orders := ca.Orders()

	// Later, a certificate in the folder is used at once.
	ca.Down(true)
	s.stop()
	again := serve(t, listen(t), ca, func(c *Config) { c.Folder = s.config.Folder })
	assert.Empty(t, again.Missing())
	ca.Down(false)
	again.certificate(t, ca)
	assert.Equal(t, orders, ca.Orders())
}

func TestDomainThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 90*24*time.Hour)
	ca.Lead(name, "127.0.0.9") // where nothing listens
	s := serve(t, on, ca, func(c *Config) { c.Domains = []string{name, "blocked.example.com"} })
	eventually(t, "it is told", func() bool {
		return regexp.MustCompile(`"domain":"` + name + `","error":"[^"]* DNS record names this machine`).MatchString(s.logs.String())
	})
	eventually(t, "the other too", func() bool {
		return contains(s.logs, "the CA gives no certificate for this domain; see that it is spelled right")
	})
	ca.Lead(name, "127.0.0.1")
	eventually(t, "there is a certificate", func() bool { return s.certificateOf(name) != nil })
}

func (s *site) certificateOf(name string) *tls.Certificate {
	c, _ := s.Get(&tls.ClientHelloInfo{ServerName: name})
	return c
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	on := listen(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 90*24*time.Hour)
	ca.LimitOrders(true)
	s := serve(t, on, ca, nil)
	eventually(t, "it is told", func() bool { return contains(s.logs, "the CA's rate limit is reached") })
	assert.Regexp(t, `"again_in":"(2h0m0s|1h59m5\ds)"`, s.logs.String())
	assert.Equal(t, 1, ca.Orders())
	ca.LimitOrders(false)
	s.Again() // as SIGHUP does
	s.ready(t)
	assert.Equal(t, 2, ca.Orders())
}
