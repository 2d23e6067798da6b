package gatewaytest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// CA is Pebble, Let's Encrypt's test CA, with a DNS server in which every name
// leads to this machine. A proxy in front of it can simulate an outage or a
// rate limit.
type CA struct {
	Directory string // its URL
	RootsFile string // the root certificate of the CA's own server, in PEM
	Roots     *x509.CertPool

	t                  testing.TB
	management, dns    string
	orders             atomic.Int32
	down, limitReached atomic.Bool
}

// StartCA starts a CA that connects to these ports of a domain, and whose
// certificates are valid for the given lifetime.
func StartCA(t testing.TB, httpPort, tlsPort int, lifetime time.Duration) *CA {
	t.Helper()
	ca, dir := &CA{t: t, management: FreeAddress(t), dns: FreeAddress(t)}, t.TempDir()
	pebble, resolver := FreeAddress(t), FreeAddress(t)
	upstream, err := url.Parse("https://" + pebble)
	require.NoError(t, err)
	front := httptest.NewTLSServer(ca.front(upstream))
	t.Cleanup(front.Close)
	ca.Directory = front.URL + "/dir"
	ca.Roots = x509.NewCertPool()
	ca.Roots.AddCert(front.Certificate())

	own := front.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	ca.RootsFile = writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", own.Certificate[0])
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": pebble, "managementListenAddress": ca.management,
		"certificate": ca.RootsFile, "privateKey": writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", key),
		"httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
		"domainBlocklist": []string{"blocked.example.com"},
		"retryAfter":      map[string]int{"authz": 1, "order": 1},
		"profiles":        map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(lifetime.Seconds())}},
	}})
	require.NoError(t, err)
	file := filepath.Join(dir, "pebble.json")
	require.NoError(t, os.WriteFile(file, config, 0o600))
	start(t, "pebble-challtestsrv", "-dnsserver", resolver, "-management", ca.dns, "-defaultIPv6", "", "-doh", "", "-http01", "", "-https01", "", "-tlsalpn01", "")
	start(t, "pebble", "-config", file, "-dnsserver", resolver)
	Eventually(t, "the CA answers", func() bool { return ca.answers() })
	return ca
}

// Down makes the CA break every connection, or stops that.
func (ca *CA) Down(down bool) { ca.down.Store(down) }

// LimitOrders makes the CA refuse orders because of its rate limit, or stops
// that.
func (ca *CA) LimitOrders(limited bool) { ca.limitReached.Store(limited) }

// Orders returns how many certificates were ordered.
func (ca *CA) Orders() int { return int(ca.orders.Load()) }

// SetAddress makes a name's DNS record point to an address.
func (ca *CA) SetAddress(name, address string) {
	ca.t.Helper()
	for _, change := range []string{"clear-a", "add-a"} {
		body, err := json.Marshal(map[string]any{"host": name + ".", "addresses": []string{address}})
		require.NoError(ca.t, err)
		resp, err := http.Post("http://"+ca.dns+"/"+change, "application/json", bytes.NewReader(body))
		require.NoError(ca.t, err)
		_ = resp.Body.Close()
		require.Equal(ca.t, http.StatusOK, resp.StatusCode)
	}
}

// Root returns the root of the certificates that the CA issues.
func (ca *CA) Root() *x509.CertPool {
	ca.t.Helper()
	resp, err := ca.client().Get("https://" + ca.management + "/roots/0")
	require.NoError(ca.t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(ca.t, err)
	pool := x509.NewCertPool()
	require.True(ca.t, pool.AppendCertsFromPEM(b.Bytes()))
	return pool
}

// front forwards requests to Pebble unless it simulates a failure. It keeps the
// Host header, which Pebble uses in its URLs.
func (ca *CA) front(upstream *url.URL) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host
		},
		Transport:    &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // Pebble uses the proxy's own certificate
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		order := r.URL.Path == "/order-plz"
		if order {
			ca.orders.Add(1)
		}
		switch {
		case ca.down.Load():
			panic(http.ErrAbortHandler)
		case order && ca.limitReached.Load():
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
			until := time.Now().UTC().Add(2 * time.Hour).Format(time.DateTime)
			fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:rateLimited","status":429,"detail":"too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after %s UTC"}`, until)
		default:
			proxy.ServeHTTP(w, r)
		}
	})
}

func (ca *CA) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Roots, ServerName: "example.com"}, DisableKeepAlives: true}}
}

func (ca *CA) answers() bool {
	for _, u := range []string{ca.Directory, "https://" + ca.management + "/roots/0", "http://" + ca.dns + "/"} {
		resp, err := ca.client().Get(u)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return false
		}
	}
	return true
}

// start runs one of the programs that `make pebble` builds into bin.
func start(t testing.TB, program string, args ...string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOMOD").Output()
	require.NoError(t, err)
	cmd := exec.Command(filepath.Join(filepath.Dir(string(root)), "bin", program), args...)
	// By default Pebble sometimes delays, and sometimes rejects valid requests.
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start(), "%s is needed: make pebble", program)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

func writePEM(t testing.TB, file, kind string, der []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}
