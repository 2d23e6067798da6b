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

// nameOf returns a test's own domain: certmagic keeps a process's challenges by
// domain.
func nameOf(t *testing.T) string { return strings.ToLower(t.Name()) + ".example.com" }

var eventually = gatewaytest.Eventually

// site is a server whose certificates a manager gets.
type site struct {
	*Manager
	addr string
	logs *gatewaytest.Buffer
	stop func()
}

// front holds the two ports on which a site serves, which the CA has to know.
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

// serve serves as the gateway does, and gets certificates as configured.
func serve(t *testing.T, on front, ca *gatewaytest.CA, change func(*Config)) *site {
	t.Helper()
	s := &site{addr: on.tls.Addr().String(), logs: &gatewaytest.Buffer{}}
	c := Config{
		Domains: []string{nameOf(t)}, Folder: filepath.Join(t.TempDir(), "acme"), Directory: ca.Directory, Roots: ca.Roots,
		Listen: on.tls.Addr().(*net.TCPAddr), HTTPPort: port(on.http),
		CheckInterval: 100 * time.Millisecond, Backoff: 100 * time.Millisecond, Log: slog.New(slog.NewJSONHandler(io.MultiWriter(s.logs, t.Output()), nil)),
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

// certificate returns the certificate that a client gets, which must be signed
// by the CA.
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

// Whatever name strangers give, they get the first domain's certificate, and
// the CA is not asked.
func TestStrangersCostTheCANothing(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 90*24*time.Hour)
	s := serve(t, on, ca, nil)
	s.ready(t)
	first := s.certificate(t, ca)
	for _, other := range []string{"", "stranger.example.com", "x." + name, strings.Repeat("a.", 100) + "com"} {
		c, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: other, InsecureSkipVerify: true})
		require.NoError(t, err)
		assert.True(t, first.Equal(c.ConnectionState().PeerCertificates[0]))
		_ = c.Close()
	}
	_, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: name, NextProtos: []string{Protocol}, InsecureSkipVerify: true})
	require.Error(t, err, "no order runs")

	// Any order for them would have been made before this one.
	require.NoError(t, os.RemoveAll(filepath.Join(s.config.Folder, "certificates")))
	s.Reload()
	eventually(t, "there is another", func() bool { return !first.Equal(s.certificate(t, ca)) })
	assert.Equal(t, 2, ca.Orders())
}

// assertPrivate asserts that only the owner can open what is in a folder.
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

// A certificate is renewed; while the CA is down, the previous one is used.
func TestRenewal(t *testing.T) {
	t.Parallel()
	on, name := listen(t), nameOf(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), 15*time.Second) // renewed after 10
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
	ca.SetAddress(name, "127.0.0.9") // where nothing listens
	s := serve(t, on, ca, func(c *Config) { c.Domains = []string{name, "blocked.example.com"} })
	eventually(t, "it is told", func() bool {
		return regexp.MustCompile(`"domain":"` + name + `","error":"[^"]* DNS record names this machine`).MatchString(s.logs.String())
	})
	eventually(t, "the other too", func() bool {
		return contains(s.logs, "the CA issues no certificate for this domain; check its spelling")
	})
	ca.SetAddress(name, "127.0.0.1")
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
	assert.Regexp(t, `"retry_in":"(2h0m0s|1h59m5\ds)"`, s.logs.String())
	assert.Equal(t, 1, ca.Orders())
	ca.LimitOrders(false)
	s.Reload() // as SIGHUP does
	s.ready(t)
	assert.Equal(t, 2, ca.Orders())
}

// A clock that is far ahead makes each new certificate look expired. Here they are.
func TestClockThatIsAhead(t *testing.T) {
	t.Parallel()
	on := listen(t)
	ca := gatewaytest.StartCA(t, port(on.http), port(on.tls), time.Second)
	s := serve(t, on, ca, nil)
	eventually(t, "it is told", func() bool { return contains(s.logs, "set the clock") })
	assert.Contains(t, s.logs.String(), `"retry_in":"1h0m0s"`)
	assert.Contains(t, s.Missing(), "set the clock")
	assert.Equal(t, 1, ca.Orders())
}
