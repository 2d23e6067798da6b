package main

import (
	"bytes"
	"os"
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

// What init writes starts a gateway, and what it prints for the app proves its
// answers.
func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gateway")
	code, out, errOut := tryInit(nil, testAPIKey+"\nprod_sim\nlicense.example.com\n", "--dir", dir)
	require.Zero(t, code, errOut)
	assert.Empty(t, errOut)
	assert.Contains(t, out, "API key (with member:basic:read, member:email:read and member:manage): Product (prod_…): Domain of the gateway (license.example.com): ")
	assert.Contains(t, out, `endpoint: "https://license.example.com",`)
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
	for _, line := range []string{"EnvironmentFile=" + dir + "/settings", "LoadCredential=api-key:" + dir + "/api-key", "LoadCredential=signing-key:" + dir + "/signing-key.json", "Environment=WHOP_LICENSE_SIGNING_KEY=%d/signing-key"} {
		assert.Contains(t, string(service), "\n"+line+"\n")
	}
	assert.NotContains(t, string(service), defaultDir)

	code, _, errOut = tryInit(nil, testAPIKey+"\n", "--dir", dir, "--product", "prod_sim", "--domain", "license.example.com")
	assert.Equal(t, 2, code)
	assert.Contains(t, errOut, "exists or can't be looked at; nothing was written")
}

func TestInitThatCantWork(t *testing.T) {
	env := map[string]string{"WHOP_API_KEY": testAPIKey}
	for _, c := range []struct {
		env  map[string]string
		args []string
		says string
	}{
		{nil, []string{"--product", "prod_1", "--domain", "license.example.com"}, "an API key is needed"},
		{env, []string{"--product", "biz_1", "--domain", "license.example.com"}, "is a company's id"},
		{env, []string{"--domain", "license.example.com"}, "--product: name at least one"},
		{env, []string{"--product", "prod_1", "--domain", "https://license.example.com"}, "--domain"},
		{env, []string{"--product", "prod_1", "--domain", "license.example.com:8443"}, "--domain"},
		{env, []string{"--product", "prod_1"}, "--domain"},
		{map[string]string{"WHOP_API_KEY": `"` + testAPIKey + `"`}, nil, "quotation mark"},
	} {
		dir := filepath.Join(t.TempDir(), "gateway")
		code, _, errOut := tryInit(c.env, "", append(c.args, "--dir", dir)...)
		assert.Equal(t, 2, code, c.says)
		assert.Contains(t, errOut, c.says)
		assert.NoDirExists(t, dir)
	}
}

// Settings in which nothing is set, as Debian's package brings them, are replaced;
// others are not.
func TestInitReplacesSampleSettings(t *testing.T) {
	sample, err := os.ReadFile("settings.sample")
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "settings")
	args := []string{"--dir", dir, "--product", "prod_sim", "--domain", "license.example.com"}

	require.NoError(t, os.WriteFile(file, append(sample, "WHOP_LICENSE_MAX_MACHINES=2\n"...), 0o600))
	code, _, errOut := tryInit(nil, testAPIKey+"\n", args...)
	assert.Equal(t, 2, code)
	assert.Contains(t, errOut, file+" exists")

	require.NoError(t, os.WriteFile(file, sample, 0o600))
	code, _, errOut = tryInit(nil, testAPIKey+"\n", args...)
	require.Zero(t, code, errOut)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\nWHOP_LICENSE_PRODUCT=prod_sim\n")
}

// Each setting of the sample exists, and its value can work.
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
