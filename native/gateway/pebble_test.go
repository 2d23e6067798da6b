//go:build pebble

package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

const certified = "license.example.com"

// trust lets this test's HTTP clients take the CA's certificates, and find the
// domain here.
func trust(t *testing.T, ca *gatewaytest.CA, addr string) {
	t.Helper()
	transport := client.Transport
	client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Root()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(func() { client.Transport = transport })
}

func portOf(addr string) int {
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	return n
}

// Two gateways that share a folder ask once, though the CA reaches only one of
// them; both are ready, and a SIGHUP and a restart ask for nothing.
func TestPebbleTwoGatewaysAskOnce(t *testing.T) {
	listens := []string{gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t)}
	challenges := []string{gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t)}
	ca := gatewaytest.StartCA(t, portOf(challenges[1]), portOf(listens[1]), 90*24*time.Hour)
	t.Setenv("SSL_CERT_FILE", ca.RootsFile)
	key, folder := testKey("certified"), filepath.Join(t.TempDir(), "acme")
	sim := startSim(t, []fields{licensed(key)})
	args := []string{"--acme-domain", certified, "--acme-email", "me@example.com", "--acme-ca", ca.Directory, "--acme-dir", folder}
	start := func(i int, more ...string) (*gw, func()) {
		g, process := startGatewayProcess(t, sim, append(append(args, more...), "--listen", listens[i], "--acme-http-port", strconv.Itoa(portOf(challenges[i])))...)
		g.url = "https://" + certified
		return g, func() { require.NoError(t, process.Signal(syscall.SIGHUP)) }
	}
	ready := func(g *gw, i int) {
		trust(t, ca, listens[i])
		eventually(t, "it is ready", func() bool {
			resp, err := client.Get(g.url + "/readyz")
			if err != nil {
				return false
			}
			_ = resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
		assert.Equal(t, 201, g.validate(key, machine(1)).status)
	}
	metricsAddr := gatewaytest.FreeAddress(t)
	// Neither may ask before both are there, as a challenge that fails is an order more.
	ca.Down(true)
	first, hangup := start(0, "--metrics-listen", metricsAddr)
	second, hangupToo := start(1)
	for _, g := range []*gw{first, second} {
		eventually(t, "it has asked", func() bool { return g.logged("the gateway has no certificate") })
	}
	ca.Down(false)
	hangup()
	hangupToo()
	ready(first, 0)
	ready(second, 1)
	assert.Equal(t, 1, ca.Orders())
	expiry, err := strconv.ParseFloat(metric(t, metricsAddr, "whop_license_certificate_expiry_seconds"), 64)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().Add(90*24*time.Hour), time.Unix(int64(expiry), 0), time.Hour)

	hangup()
	assert.Equal(t, 0, first.stop())
	ca.Down(true)
	first, _ = start(0)
	ready(first, 0)
	assert.Equal(t, 1, ca.Orders())
}

// doctor asks the CA, and looks at what it gave, which is by TLS-ALPN-01 here.
func TestPebbleDoctor(t *testing.T) {
	listen, folder := gatewaytest.FreeAddress(t), t.TempDir()
	ca := gatewaytest.StartCA(t, 1, portOf(listen), 90*24*time.Hour) // nothing listens on port 1
	t.Setenv("SSL_CERT_FILE", ca.RootsFile)
	sim := startSim(t, nil)
	args := []string{"--listen", listen, "--acme-domain", certified, "--acme-ca", ca.Directory, "--acme-dir", folder, "--acme-http-port", "0"}
	doctor := func(more ...string) string { return runDoctorProcess(t, sim, append(args, more...)...) }
	out := doctor()
	assert.Contains(t, out, "good   CA            "+ca.Directory+" answers")
	assert.Contains(t, out, "WRONG  certificate   "+certified+": there is none in "+folder)
	g, _ := startGatewayProcess(t, sim, args...)
	eventually(t, "there is one", func() bool { return g.logged("using a certificate") })
	assert.Contains(t, doctor(), "good   certificate   "+certified+": valid for 89 more days")
	assert.Contains(t, doctor("--public-url", "https://127.0.0.1:1"), "WRONG  certificate   --acme-domain: does not list 127.0.0.1")
	ca.Down(true)
	assert.Regexp(t, regexp.MustCompile(`WRONG  CA            can't reach `+regexp.QuoteMeta(ca.Directory)+`: .*EOF`), doctor())
}

// runDoctorProcess runs doctor in a process of its own, which trusts the CA, and
// returns what it printed.
func runDoctorProcess(t *testing.T, sim *simulator, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"doctor", "--upstream-url", sim.url, "--product", testProduct}, args...)...)
	cmd.Env = append(os.Environ(), asGateway+"=1", "WHOP_API_KEY="+testAPIKey)
	out, _ := cmd.CombinedOutput()
	_, _ = said.Write(out)
	return strings.TrimSpace(string(out))
}
