//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tunnel is an HTTP proxy that leads every CONNECT to one address, and keeps
// where it was asked to connect to.
type tunnel struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func startTunnel(t *testing.T, to string) *tunnel {
	t.Helper()
	p := &tunnel{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host)
		p.mu.Unlock()
		there, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer there.Close()
		w.WriteHeader(http.StatusOK)
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		go func() { _, _ = io.Copy(there, buffered); _ = there.Close() }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(p.Server.Close)
	return p
}

// certify returns a certificate for a name, and the file of who signed it.
func certify(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}, file
}

// The default upstream has no port and speaks TLS, as no other test's does. A
// proxy stands for the way to it.
func TestDefaultUpstream(t *testing.T) {
	for _, c := range []struct {
		name, certified string
		status          int
	}{
		{"as it should be", "api.whop.com", 201},
		{"with another's certificate", "api.example.com", 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := testKey("https")
			sim := startSim(t, []fields{licensed(key)})
			target, err := url.Parse(sim.url)
			require.NoError(t, err)
			relay := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				assert.Equal(t, "api.whop.com", r.In.Host)
				r.SetURL(target)
			}})
			certificate, authority := certify(t, c.certified)
			relay.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			relay.StartTLS()
			defer relay.Close()
			proxy := startTunnel(t, relay.Listener.Addr().String())
			t.Setenv("SSL_CERT_FILE", authority)
			t.Setenv("HTTPS_PROXY", proxy.URL)
			t.Setenv("NO_PROXY", "")

			g, _ := startGatewayProcess(t, sim, "--upstream-url", "https://api.whop.com/api/v1")
			assert.Equal(t, c.status, g.validate(key, machine(1)).status)
			proxy.mu.Lock()
			assert.Equal(t, "CONNECT api.whop.com:443", proxy.asked[0])
			proxy.mu.Unlock()
			if c.status != 201 {
				sim.starts.Store(0) // not even the look-up at the start came through
				assert.Zero(t, sim.calls("v1.get"), "the API key is not given to anyone else")
			}
		})
	}
}
