//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noCA is where no CA is.
const noCA = "https://127.0.0.1:9/dir"

// A CA that is down keeps a gateway from being ready, and says why, and not from
// starting, nor from ending.
func TestCAThatIsDownDoesNotKeepAGatewayFromStarting(t *testing.T) {
	metricsAddr := freeAddress(t)
	folder := filepath.Join(t.TempDir(), "state", "acme")
	t.Setenv("STATE_DIRECTORY", "")
	_, port, _ := strings.Cut(freeAddress(t), ":")
	g := startGateway(t, startSim(t, nil), "--acme-domain", "license.example.com", "--acme-ca", noCA, "--acme-dir", folder, "--acme-http-port", port, "--metrics-listen", metricsAddr)
	assert.True(t, strings.HasPrefix(g.url, "https://"))
	eventually(t, "it is told", func() bool {
		return g.logged("the gateway has no certificate", "license.example.com", "connection refused", "1m0s")
	})
	health := &gw{t: t, url: "http://" + metricsAddr}
	assert.Regexp(t, `"reason":"there is no certificate for license.example.com yet: .*connection refused`, health.get("/readyz").body)
	assert.Equal(t, 503, health.get("/readyz").status)
	assert.Equal(t, 200, health.get("/healthz").status)
	assert.Equal(t, "0", metric(t, metricsAddr, "whop_license_certificate_expiry_seconds"))
	plain := &gw{t: t, url: "http://127.0.0.1:" + port}
	assert.Equal(t, 404, plain.get("/healthz").status)
	assert.Equal(t, 404, plain.validate(testKey("plain"), machine(1)).status, "and no look-up")
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	assert.Equal(t, 0, g.stop())
}

func TestACMESettings(t *testing.T) {
	_, port, _ := strings.Cut(freeAddress(t), ":")
	good := []string{"--acme-domain", "license.example.com", "--acme-domain", "license.example.org", "--acme-email", "me@example.com", "--acme-http-port", port}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--acme-domain", "License.example.com"}, `--acme-domain: "License.example.com" is not a name`},
		{[]string{"--acme-domain", "*.example.com"}, "--acme-domain"},
		{[]string{"--acme-domain", "license.example.com:443"}, "--acme-domain"},
		{[]string{"--acme-domain", "192.0.2.1"}, "--acme-domain"},
		{[]string{"--acme-domain", "localhost"}, "--acme-domain"},
		{[]string{"--acme-domain", "../../etc.com"}, "--acme-domain"},
		{[]string{"--acme-dir", "/tmp"}, "need --acme-domain"},
		{append(good, "--tls-cert", "a", "--tls-key", "b"), "--acme-domain and --tls-cert: give only one"},
		{append(good, "--acme-ca", "http://ca.example.com/dir"), "--acme-ca"},
		{append(good, "--acme-email", "Me <me@example.com>"), "--acme-email"},
		{append(good, "--acme-http-port", "65536"), "--acme-http-port"},
	} {
		code, _, errOut := operate(t, startSim(t, nil), []string{"--config-check"}, c.args...)
		assert.Equal(t, 2, code, c.args)
		assert.Contains(t, errOut, c.says)
	}
	code, _, errOut := operate(t, startSim(t, nil), []string{"--config-check"}, append(good, "--listen", "127.0.0.1:8443", "--acme-dir", t.TempDir())...)
	assert.Zero(t, code, errOut)
	assert.Contains(t, errOut, "warning: --listen: the CA and apps connect to port 443 of license.example.com")
}

func TestFolderOfCertificates(t *testing.T) {
	for _, c := range []struct{ dir, state, folder string }{
		{"/given", "/var/lib/gateway", "/given"},
		{"", "/var/lib/gateway:/var/lib/other", "/var/lib/gateway/acme"},
		{"", "", "/home/me/.config/whop-license-gateway/acme"},
	} {
		t.Setenv("HOME", "/home/me")
		t.Setenv("XDG_CONFIG_HOME", "")
		folder, err := acmeFolder(&settings{ACMEDir: c.dir}, func(name string) string {
			return map[string]string{"STATE_DIRECTORY": c.state}[name]
		})
		assert.NoError(t, err)
		if strings.HasPrefix(folder, os.Getenv("HOME")) { // elsewhere on macOS
			assert.Equal(t, "whop-license-gateway/acme", filepath.Join(filepath.Base(filepath.Dir(folder)), filepath.Base(folder)))
			continue
		}
		assert.Equal(t, c.folder, folder)
	}
	t.Setenv("HOME", "")
	_, err := acmeFolder(&settings{}, func(string) string { return "" })
	assert.ErrorContains(t, err, "--acme-dir: give the folder")
}

// A port that is taken is named with its setting.
func TestPortOfChallengesThatIsTaken(t *testing.T) {
	sim := startSim(t, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(sim.url, "http://"), ":")
	code, _, errOut := operate(t, sim, nil, "--listen", "127.0.0.1:0", "--acme-domain", "license.example.com", "--acme-dir", t.TempDir(), "--acme-http-port", port)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "--acme-http-port: ")
	assert.Contains(t, errOut, "address already in use")
}
