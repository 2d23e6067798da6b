//go:build unix

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// noCA is a URL at which there is no CA.
const noCA = "https://127.0.0.1:9/dir"

// While the CA is down, a gateway starts and stops as usual, but is not ready
// and says why.
func TestCAThatIsDownDoesNotKeepAGatewayFromStarting(t *testing.T) {
	metricsAddr := gatewaytest.FreeAddress(t)
	folder := filepath.Join(t.TempDir(), "state", "acme")
	t.Setenv("STATE_DIRECTORY", "")
	_, port, _ := strings.Cut(gatewaytest.FreeAddress(t), ":")
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
	stalled, err := net.Dial("tcp", "127.0.0.1:"+port)
	require.NoError(t, err)
	defer stalled.Close()
	_, err = io.WriteString(stalled, "GET / HTTP/1.1\r\n")
	require.NoError(t, err)
	plain := &gw{t: t, url: "http://127.0.0.1:" + port}
	req, err := http.NewRequest(http.MethodGet, plain.url, nil)
	require.NoError(t, err)
	req.Header.Set("X-Long", strings.Repeat("x", 10_000))
	resp, err := client.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	assert.Equal(t, 404, plain.get("/healthz").status)
	assert.Equal(t, 404, plain.validate(testKey("plain"), machine(1)).status, "and no look-up")
	for range challengeConnections/16 + 1 {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		require.NoError(t, err)
		defer c.Close()
	}
	eventually(t, "a client holds its share at most", func() bool { return g.logged("one client holds as many connections as it may") })
	assert.Equal(t, "0", metric(t, metricsAddr, "whop_license_connections"), "these are not apps'")
	require.NoError(t, stalled.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = io.ReadAll(stalled)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "who sends half a request holds no connection")
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	assert.Equal(t, 0, g.stop())
}

func TestACMESettings(t *testing.T) {
	_, port, _ := strings.Cut(gatewaytest.FreeAddress(t), ":")
	good := []string{"--acme-domain", "license.example.com", "--acme-domain", "license.example.org", "--acme-email", "me@example.com", "--acme-http-port", port}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--acme-domain", "License.example.com"}, `--acme-domain: "License.example.com" is not a domain name`},
		{[]string{"--acme-domain", "*.example.com"}, "--acme-domain"},
		{[]string{"--acme-domain", "license.example.com:443"}, "--acme-domain"},
		{[]string{"--acme-domain", "192.0.2.1"}, "--acme-domain"},
		{[]string{"--acme-domain", "localhost"}, "--acme-domain"},
		{[]string{"--acme-domain", "license.example.com."}, "--acme-domain"},
		{[]string{"--acme-domain", "192.168.1.300"}, "--acme-domain"},
		{[]string{"--acme-domain", "lizenz-münchen.de"}, "write it as xn--lizenz-mnchen-3ob.de"},
		{append(good, "--acme-domain", "license.example.org"), `"license.example.org" is given twice`},
		{[]string{"--acme-domain", "../../etc.com"}, "--acme-domain"},
		{[]string{"--acme-dir", "/tmp"}, "require --acme-domain"},
		{append(good, "--tls-cert", "a", "--tls-key", "b"), "--acme-domain and --tls-cert: give only one"},
		{append(good, "--acme-ca", "http://ca.example.com/dir"), "--acme-ca"},
		{append(good, "--acme-email", "Me <me@example.com>"), "--acme-email"},
		{append(good, "--acme-http-port", "65536"), "--acme-http-port"},
	} {
		code, _, errOut := operate(t, startSim(t, nil), []string{"--config-check"}, c.args...)
		assert.Equal(t, badSettings, code, c.args)
		assert.Contains(t, errOut, c.says)
	}
	code, _, errOut := operate(t, startSim(t, nil), []string{"--config-check"}, append(good, "--listen", "127.0.0.1:8443", "--acme-dir", t.TempDir())...)
	assert.Zero(t, code, errOut)
	assert.Contains(t, errOut, "warning: --listen: the CA and apps connect to port 443 of license.example.com")
}

func TestFolderOfCertificates(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_CONFIG_HOME", "")
	config, err := os.UserConfigDir()
	require.NoError(t, err)
	for _, c := range []struct{ dir, state, folder string }{
		{"/given", "/var/lib/gateway", "/given"},
		{"", "/var/lib/gateway:/var/lib/other", "/var/lib/gateway/acme"},
		{"", "", config + "/whop-license-gateway/acme"},
	} {
		folder, err := acmeFolder(&settings{ACMEDir: c.dir}, func(name string) string {
			return map[string]string{"STATE_DIRECTORY": c.state}[name]
		})
		assert.NoError(t, err)
		assert.Equal(t, c.folder, folder)
	}
	t.Setenv("HOME", "")
	_, err = acmeFolder(&settings{}, func(string) string { return "" })
	assert.ErrorContains(t, err, "--acme-dir: give the folder")
}

// The error for a port that is in use names its setting.
func TestChallengePortInUse(t *testing.T) {
	sim := startSim(t, nil)
	_, port, _ := strings.Cut(strings.TrimPrefix(sim.url, "http://"), ":")
	code, _, errOut := operate(t, sim, nil, "--listen", "127.0.0.1:0", "--acme-domain", "license.example.com", "--acme-dir", t.TempDir(), "--acme-http-port", port)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "--acme-http-port: ")
	assert.Contains(t, errOut, "address already in use")
}

// systemd passes files that only root can read, under the names in the
// documentation's drop-in file.
func TestCertbotsFilesAsCredentials(t *testing.T) {
	page, err := os.ReadFile("../../web/docs/deploying.md")
	require.NoError(t, err)
	_, dropIn, found := strings.Cut(string(page), "```ini [/etc/systemd/system/whop-license-gateway.service.d/certbot.conf]\n")
	require.True(t, found)
	dropIn, _, _ = strings.Cut(dropIn, "```")
	source, credentials := t.TempDir(), t.TempDir()
	writeCertificate(t, source, "license.example.com")
	for _, c := range regexp.MustCompile(`(?m)^LoadCredential=([\w-]+):/etc/letsencrypt/live/license.example.com/(fullchain|privkey).pem$`).FindAllStringSubmatch(dropIn, -1) {
		b, err := os.ReadFile(filepath.Join(source, map[string]string{"fullchain": "cert.pem", "privkey": "key.pem"}[c[2]]))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(credentials, c[1]), b, 0o400))
	}
	for _, line := range regexp.MustCompile(`(?m)^Environment=(\w+)=(.*)$`).FindAllStringSubmatch(dropIn, -1) {
		t.Setenv(line[1], strings.ReplaceAll(line[2], "%d", credentials))
	}
	// The page's first hour has written settings for a CA, some of which must be
	// removed.
	taken := regexp.MustCompile("Remove the lines that begin with `(\\w+)` from `settings`").FindStringSubmatch(string(page))
	require.NotNil(t, taken)
	c := initCommand{Product: testProduct, Domain: "license.example.com", Email: "you@example.com"}
	for _, line := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(c.settings(), -1) {
		if !strings.HasPrefix(line[1], taken[1]) {
			t.Setenv(line[1], line[2])
		}
	}
	g, process := startGatewayProcess(t, startSim(t, nil))
	require.Equal(t, "license.example.com", certificateName(t, g.url))

	// A renewal of the original files is not visible to the gateway, even if it
	// reloads.
	writeCertificate(t, source, "renewed")
	require.NoError(t, process.Signal(syscall.SIGHUP))
	eventually(t, "it is read", func() bool { return g.logged("reloaded the certificate files") })
	assert.Equal(t, "license.example.com", certificateName(t, g.url))

	dir := filepath.Join(t.TempDir(), "whop-license-gateway.service.d")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "certbot.conf"), []byte(dropIn), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "whop-license-gateway.service"), []byte(unit), 0o600))
	verifyUnit(t, filepath.Join(filepath.Dir(dir), "whop-license-gateway.service"))
}
