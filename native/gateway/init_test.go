package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tryInit(env map[string]string, answers string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = initialize(args, func(name string) string { return env[name] }, strings.NewReader(answers), &o, &e)
	_, _ = said.Write([]byte(o.String() + e.String()))
	return code, o.String(), e.String()
}

// A gateway starts with what init writes, and what init prints for the app
// verifies the gateway's answers.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gateway")
	code, out, errOut := tryInit(nil, testAPIKey+"\nprod_sim\nlicense.example.com\n", "--dir", dir, "--behind-proxy")
	require.Zero(t, code, errOut)
	assert.Empty(t, errOut)
	assert.Contains(t, out, "API key (with member:basic:read, member:email:read and member:manage): Product (prod_…): Domain of the gateway (license.example.com): ")
	assert.Contains(t, out, `endpoint: "https://license.example.com",`)
	program, err := os.Executable()
	require.NoError(t, err)
	assert.Contains(t, out, "install -m 0755 "+program+" /usr/local/bin/whop-license-gateway\n", "wherever it was unpacked")
	assert.Contains(t, out, "install -m 0644 "+dir+"/whop-license-gateway.service /etc/systemd/system/")
	for _, file := range []string{"settings", "api-key", "signing-key.json"} {
		info, err := os.Stat(filepath.Join(dir, file))
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			assert.Equal(t, os.FileMode(0o600), info.Mode(), file)
		}
	}

	settings, err := os.ReadFile(filepath.Join(dir, "settings"))
	require.NoError(t, err)
	for _, line := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(settings), -1) {
		t.Setenv(line[1], line[2])
	}
	key := testKey("firsthour")
	g := startGatewayWith(t, startSim(t, []fields{licensed(key)}), map[string]string{"WHOP_API_KEY_FILE": filepath.Join(dir, "api-key")}, "--signing-key", filepath.Join(dir, "signing-key.json"))
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	public := regexp.MustCompile(`publicKey: "([\w-]{43})"`).FindStringSubmatch(out)
	require.NotNil(t, public, out)
	assert.Contains(t, g.get("/.well-known/jwks.json").body, public[1])

	service, err := os.ReadFile(filepath.Join(dir, "whop-license-gateway.service"))
	require.NoError(t, err)
	assert.Contains(t, out, "reverse_proxy 127.0.0.1:8080")
	for _, line := range []string{"EnvironmentFile=" + dir + "/settings", "LoadCredential=api-key:" + dir + "/api-key", "LoadCredential=signing-key:" + dir + "/signing-key.json", "Environment=WHOP_LICENSE_SIGNING_KEY=%d/signing-key"} {
		assert.Contains(t, string(service), "\n"+line+"\n")
	}
	assert.NotContains(t, string(service), defaultDir)

	code, _, errOut = tryInit(nil, testAPIKey+"\n", "--dir", dir, "--product", "prod_sim", "--domain", "license.example.com")
	assert.Equal(t, badSettings, code)
	assert.Contains(t, errOut, "already exists, so nothing was written")
}

// Without a proxy, init sets up a gateway that gets its certificate by itself,
// and has the capability to listen on the ports for it.
func TestInitWithoutAProxy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gateway")
	code, out, errOut := tryInit(map[string]string{"WHOP_API_KEY": testAPIKey}, "", "--dir", dir, "--product", "prod_sim", "--domain", "license.example.com", "--email", "me@example.com")
	require.Zero(t, code, errOut)
	assert.Contains(t, out, "The gateway gets a certificate from Let's Encrypt, and accepts its terms for you,\nonce license.example.com has a DNS record")
	assert.NotContains(t, out, "Caddy")
	settings, err := os.ReadFile(filepath.Join(dir, "settings"))
	require.NoError(t, err)
	for _, line := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(settings), -1) {
		t.Setenv(line[1], line[2])
	}
	code, _, errOut = operate(t, startSim(t, nil), []string{"--config-check"})
	assert.Zero(t, code, errOut)
	assert.Empty(t, errOut)
	assert.Equal(t, "license.example.com", os.Getenv("WHOP_LICENSE_ACME_DOMAIN"))
	assert.Equal(t, "me@example.com", os.Getenv("WHOP_LICENSE_ACME_EMAIL"))
	assert.Equal(t, ":443", os.Getenv("WHOP_LICENSE_LISTEN"))
	assert.Equal(t, "/var/lib/whop-license-gateway/acme", os.Getenv("WHOP_LICENSE_ACME_DIR"), "where doctor finds it too")
	assert.Empty(t, os.Getenv("WHOP_LICENSE_TRUSTED_PROXIES"))

	service, err := os.ReadFile(filepath.Join(dir, "whop-license-gateway.service"))
	require.NoError(t, err)
	for _, line := range []string{"CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE", "StateDirectory=whop-license-gateway"} {
		assert.Contains(t, string(service), "\n"+line+"\n")
	}
	verifyUnit(t, filepath.Join(dir, "whop-license-gateway.service"))
}

// systemd starts the gateway again after what may pass by itself, but not for ever
// with settings that can't work.
func TestSettingsThatCantWorkAreNotTriedAgain(t *testing.T) {
	assert.Contains(t, unit, "\nRestart=on-failure\n")
	assert.Contains(t, unit, fmt.Sprintf("\nRestartPreventExitStatus=%d 243\n", badSettings), "243: a credential is missing")
	assert.NotContains(t, unit, "\nExecStartPre=", "after its failure, systemd starts a service again in any case")

	sim := startSim(t, nil)
	code, _, errOut := operate(t, sim, nil, "--cache-ttl", "soon")
	assert.Equal(t, badSettings, code, errOut)
	code, _, errOut = operate(t, sim, nil, "--max-machines", "0")
	assert.Equal(t, badSettings, code, errOut)
	code = run(t.Context(), gatewayArgs(sim, nil), func(string) string { return "" }, io.Discard, &said)
	assert.Equal(t, badSettings, code, "no API key")

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	for _, flag := range []string{"--listen", "--metrics-listen"} {
		code, _, errOut = operate(t, sim, []string{"--listen", "127.0.0.1:0"}, flag, busy.Addr().String())
		assert.Equal(t, 1, code, errOut)
		assert.Contains(t, errOut, flag+": ")
	}
}

// verifyUnit lets systemd verify a unit, if systemd is installed.
func verifyUnit(t *testing.T, file string) {
	t.Helper()
	systemd, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not installed, so that systemd does not read " + file)
		return
	}
	out, _ := exec.Command(systemd, "verify", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// The program is not installed here, and this machine has other units too.
		if strings.Contains(line, "whop-license-gateway") && !strings.Contains(line, "is not executable") {
			assert.Fail(t, "systemd says: "+line)
		}
	}
}

func TestInitThatCantWork(t *testing.T) {
	env := map[string]string{"WHOP_API_KEY": testAPIKey}
	for _, c := range []struct {
		env  map[string]string
		args []string
		says string
	}{
		{nil, []string{"--product", "prod_1", "--domain", "license.example.com"}, "an API key is required"},
		{env, []string{"--product", "biz_1", "--domain", "license.example.com"}, "is a company's id"},
		{env, []string{"--domain", "license.example.com"}, "--product: name at least one"},
		{env, []string{"--product", "prod_1", "--domain", "https://license.example.com"}, "--domain"},
		{env, []string{"--product", "prod_1", "--domain", "license.example.com:8443"}, "--domain"},
		{env, []string{"--product", "prod_1"}, "--domain"},
		{env, []string{"--product", "prod_1", "--domain", "license.example.com", "--email", "me"}, "--email"},
		{env, []string{"--product", "prod_1", "--domain", "license.example.com", "--email", "o'hara@example.com"}, "are special to a shell"},
		{env, []string{"--product", "prod_1", "--domain", "license.example.com", "--email", "`id`@example.com"}, "are special to a shell"},
		{map[string]string{"WHOP_API_KEY": `"` + testAPIKey + `"`}, nil, "quotation mark"},
	} {
		dir := filepath.Join(t.TempDir(), "gateway")
		code, _, errOut := tryInit(c.env, "", append(c.args, "--dir", dir)...)
		assert.Equal(t, badSettings, code, c.says)
		assert.Contains(t, errOut, c.says)
		assert.NoDirExists(t, dir)
	}
}

// A settings file without any setting, as the Debian package installs it, is
// replaced; others are not.
func TestInitReplacesSampleSettings(t *testing.T) {
	sample, err := os.ReadFile("settings.sample")
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "settings")
	args := []string{"--dir", dir, "--product", "prod_sim", "--domain", "license.example.com"}

	require.NoError(t, os.WriteFile(file, append(sample, "WHOP_LICENSE_MAX_MACHINES=2\n"...), 0o600))
	code, _, errOut := tryInit(nil, testAPIKey+"\n", args...)
	assert.Equal(t, badSettings, code)
	assert.Contains(t, errOut, file+" already exists")

	require.NoError(t, os.WriteFile(file, sample, 0o600))
	code, _, errOut = tryInit(nil, testAPIKey+"\n", args...)
	require.Zero(t, code, errOut)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\nWHOP_LICENSE_PRODUCT=prod_sim\n")
}

// Each setting in the sample exists, and its value is valid.
func TestSampleSettings(t *testing.T) {
	sample, err := os.ReadFile("settings.sample")
	require.NoError(t, err)
	lines := regexp.MustCompile(`(?m)^#(\w+)=(.*)$`).FindAllStringSubmatch(string(sample), -1)
	require.NotEmpty(t, lines)
	for _, line := range lines {
		t.Setenv(line[1], line[2])
	}
	var out, errOut bytes.Buffer
	code := run(t.Context(), []string{"--config-check"}, func(name string) string { return map[string]string{"WHOP_API_KEY": testAPIKey}[name] }, &out, &errOut)
	assert.Zero(t, code)
	assert.Empty(t, errOut.String())
}

// The systemd unit and the printed commands contain the folder's name
// unchanged.
func TestInitIntoAnOddFolder(t *testing.T) {
	for _, name := range []string{"a folder", "100%", "$HOME", "it's", "a;b"} {
		dir := filepath.Join(t.TempDir(), name)
		code, _, errOut := tryInit(map[string]string{"WHOP_API_KEY": testAPIKey}, "", "--dir", dir, "--product", "prod_1", "--domain", "license.example.com")
		assert.Equal(t, badSettings, code, name)
		assert.Contains(t, errOut, "choose a plain name")
		assert.NoDirExists(t, dir)
	}
}

// meanwhile answers with a product, and does something first.
type meanwhile func()

func (m meanwhile) Read(p []byte) (int, error) {
	m()
	return copy(p, "prod_1\n"), nil
}

// If init fails, it removes what it wrote, so that it can be run again.
func TestInitThatFailsRemovesWhatItWrote(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "api-key")
	in := meanwhile(func() { require.NoError(t, os.WriteFile(other, []byte("another's"), 0o600)) })
	var out, errOut bytes.Buffer
	code := initialize([]string{"--dir", dir, "--domain", "license.example.com"}, func(name string) string { return map[string]string{"WHOP_API_KEY": testAPIKey}[name] }, in, &out, &errOut)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut.String(), "api-key: ")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Equal(t, []string{other}, files)
}
