package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func tryConfig(env map[string]string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(context.Background(), append([]string{"--config-check"}, args...), func(name string) string { return env[name] }, &o, &e)
	return code, o.String(), e.String()
}

func TestConfigCheck(t *testing.T) {
	key := map[string]string{"WHOP_API_KEY": testAPIKey}
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(testAPIKey+"\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	long := filepath.Join(t.TempDir(), "long")
	require.NoError(t, os.WriteFile(long, []byte(strings.Repeat("x", 16<<10+1)), 0o600))
	ok := func(args ...string) []string { return append([]string{"--product", "prod_1"}, args...) }
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		says string
	}{
		{"the least", key, ok(), 0, ""},
		{"a key file", map[string]string{"WHOP_API_KEY_FILE": file}, ok(), 0, ""},
		{"everything", key, ok("--product", "prod_2", "--allowed-origin", "https://a.example.com", "--allowed-origin", "app://x", "--max-machines", "3", "--redis-url", "redis://127.0.0.1:6379/1", "--cache-ttl", "0", "--trusted-proxies", "10.0.0.0/8,::1", "--listen", ":0", "--metrics-listen", "127.0.0.1:0", "--api-version-date", "2026-07-20"), 0, ""},
		{"a version with a counter", key, ok("--api-version-date", "2026-08-05-1"), 0, ""},
		{"a product as v2 named it", key, []string{"--product", "pass_1"}, 0, ""},
		{"upstream on loopback", key, ok("--upstream-url", "http://[::1]:1"), 0, ""},
		{"no API key", nil, ok(), badSettings, "WHOP_API_KEY: set it"},
		{"a blank API key", map[string]string{"WHOP_API_KEY": "  "}, ok(), badSettings, "WHOP_API_KEY: set it"},
		{"an API key with a line break", map[string]string{"WHOP_API_KEY": testAPIKey + "\nX: y"}, ok(), badSettings, "WHOP_API_KEY: contains white space"},
		{"an API key in quotation marks", map[string]string{"WHOP_API_KEY": `"` + testAPIKey + `"`}, ok(), badSettings, "WHOP_API_KEY: begins or ends with a quotation mark"},
		{"half an API key's quotation marks", map[string]string{"WHOP_API_KEY": testAPIKey + "'"}, ok(), badSettings, "without quotation marks"},
		{"two API keys", map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_API_KEY_FILE": file}, ok(), badSettings, "give only one"},
		{"an empty key file", map[string]string{"WHOP_API_KEY_FILE": empty}, ok(), badSettings, "the file is empty"},
		{"a long key file", map[string]string{"WHOP_API_KEY_FILE": long}, ok(), badSettings, "WHOP_API_KEY_FILE: the file is too long"},
		{"no key file", map[string]string{"WHOP_API_KEY_FILE": file + "x"}, ok(), badSettings, "WHOP_API_KEY_FILE"},
		{"no product", key, nil, badSettings, "--product: name at least one"},
		{"an empty product", key, []string{"--product", ""}, badSettings, "--product"},
		{"a product as a path", key, []string{"--product", "prod/1"}, badSettings, "--product"},
		{"a wildcard origin", key, ok("--allowed-origin", "*"), badSettings, "wildcards are not supported"},
		{"a wildcard in an origin", key, ok("--allowed-origin", "https://*.example.com"), badSettings, "wildcards are not supported"},
		{"an origin with a path", key, ok("--allowed-origin", "https://a.example.com/"), badSettings, "--allowed-origin"},
		{"an origin with a default port", key, ok("--allowed-origin", "https://a.example.com:443"), badSettings, "--allowed-origin"},
		{"an origin in capitals", key, ok("--allowed-origin", "https://A.example.com"), badSettings, "--allowed-origin"},
		{"an origin not in ASCII", key, ok("--allowed-origin", "https://bücher.example"), badSettings, "--allowed-origin"},
		{"an origin with a user", key, ok("--allowed-origin", "https://u@a.example.com"), badSettings, "--allowed-origin"},
		{"origins of all kinds", key, ok("--allowed-origin", "http://localhost:3000,http://[::1]:8080,https://xn--bcher-kva.example,app://my-app,chrome-extension://abcdefghijklmnop"), 0, ""},
		{"an origin without scheme", key, ok("--allowed-origin", "a.example.com"), badSettings, "--allowed-origin"},
		{"no machines", key, ok("--max-machines", "0"), badSettings, "--max-machines"},
		{"too many machines", key, ok("--max-machines", "26"), badSettings, "--max-machines"},
		{"no status", key, ok("--entitled-status", ""), badSettings, "--entitled-status"},
		{"a long cache", key, ok("--cache-ttl", "2h"), badSettings, "--cache-ttl"},
		{"a negative cache", key, ok("--cache-ttl=-1s"), badSettings, "--cache-ttl"},
		{"nothing stale", key, ok("--stale-if-error", "0"), 0, ""},
		{"the longest stale", key, ok("--stale-if-error", "72h"), 0, ""},
		{"too long stale", key, ok("--stale-if-error", "73h"), badSettings, "--stale-if-error"},
		{"negatively stale", key, ok("--stale-if-error=-1s"), badSettings, "--stale-if-error"},
		{"a small budget", key, ok("--upstream-budget", "5"), badSettings, "--upstream-budget"},
		{"a negative limit", key, ok("--client-limit=-1"), badSettings, "--client-limit"},
		{"a short timeout", key, ok("--upstream-timeout", "1ms"), badSettings, "--upstream-timeout"},
		{"plain http upstream", key, ok("--upstream-url", "http://api.whop.com/api/v1"), badSettings, "must be https"},
		{"a host that looks like loopback", key, ok("--upstream-url", "http://127.0.0.1.example.com"), badSettings, "must be https"},
		{"an upstream with a query", key, ok("--upstream-url", "https://x.example.com/?a"), badSettings, "--upstream-url"},
		{"an upstream with a password", key, ok("--upstream-url", "https://u:PRIVATE@x.example.com"), badSettings, "--upstream-url"},
		{"no upstream", key, ok("--upstream-url", "api.whop.com"), badSettings, "--upstream-url"},
		{"a wrong Redis URL", key, ok("--redis-url", "redis://:PRIVATE@host:port"), badSettings, "--redis-url"},
		{"a wrong version", key, ok("--api-version-date", "yesterday"), badSettings, "--api-version-date"},
		{"no version", key, ok("--api-version-date", ""), badSettings, "--api-version-date"},
		{"a version that is no date", key, ok("--api-version-date", "2026-13-05"), badSettings, "--api-version-date"},
		{"a version with two counters", key, ok("--api-version-date", "2026-08-05-1-2"), badSettings, "--api-version-date"},
		{"a version with a header", key, ok("--api-version-date", "2026-08-05\r\nX: y"), badSettings, "--api-version-date"},
		{"a company as the product", key, []string{"--product", "biz_1"}, badSettings, "is a company's id"},
		{"a plan as the product", key, []string{"--product", "plan_1"}, badSettings, "is a plan's id"},
		{"a membership as the product", key, []string{"--product", "prod_1,mem_1"}, badSettings, "is a membership's id"},
		{"a user as the product", key, []string{"--product", "user_1"}, badSettings, "is a user's id"},
		{"Sentinels", key, ok("--redis-url", "redis+sentinel://:PRIVATE@a:26379,b:26379/mymaster"), badSettings, "Redis Sentinel"},
		{"Sentinels by an option", key, ok("--redis-url", "redis://:PRIVATE@a:26379?master_name=mymaster"), badSettings, "Redis Sentinel"},
		{"a cluster", key, ok("--redis-url", "redis-cluster://:PRIVATE@a:6379"), badSettings, "Redis Cluster"},
		{"several addresses", key, ok("--redis-url", "redis://:PRIVATE@a:6379,b:6379"), badSettings, "lists of addresses"},
		{"several addresses by an option", key, ok("--redis-url", "redis://:PRIVATE@a:6379?addr=b:6379"), badSettings, "lists of addresses"},
		{"a Redis database that is no number", key, ok("--redis-url", "redis://:PRIVATE@a:6379/mymaster"), badSettings, "--redis-url"},
		{"a comma in a Redis password", key, ok("--redis-url", "redis://:a%2Cb@a:6379"), 0, ""},
		{"a wrong network", key, ok("--trusted-proxies", "10.0.0.0/33"), badSettings, "--trusted-proxies"},
		{"a listen address without port", key, ok("--listen", "127.0.0.1"), badSettings, "--listen"},
		{"a certificate alone", key, ok("--tls-cert", file), badSettings, "both or neither"},
		{"no certificate", key, ok("--tls-cert", file, "--tls-key", file), badSettings, "--tls-cert"},
		{"an unknown flag", key, ok("--api-key", "x"), badSettings, "unknown flag"},
		{"a wrong level", key, ok("--log-level", "loud"), badSettings, "--log-level"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := tryConfig(c.env, c.args...)
			assert.Equal(t, c.code, code, errOut)
			assert.Contains(t, errOut, c.says)
			assert.NotContains(t, out+errOut, "PRIVATE")
			if c.code == 0 {
				assert.Equal(t, "The settings are good.\n", out)
				assert.Empty(t, errOut)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	key := map[string]string{"WHOP_API_KEY": testAPIKey}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--entitled-status", "active,grace_period"}, `no status "grace_period"`},
		{[]string{"--allowed-origin", "null"}, "sandboxed frame call the gateway; a page from a file sends file:// if Electron's fuse"},
		{[]string{"--allowed-origin", "file://"}, "a page from a file sends file:// if Electron's fuse"},
		{[]string{"--trusted-proxies", "10.0.0.0/8,::/0"}, "every address is trusted"},
		{[]string{"--trusted-proxies", "::ffff:0.0.0.0/96"}, "every address is trusted"},
		{[]string{"--seller-metadata", "HWID"}, "what apps usually send"},
		{[]string{"--product", "x_1"}, "begins with prod_"},
		{[]string{"--upstream-url", "https://api.whop.com/api/v2"}, "does not end in /api/v1"},
		{[]string{"--api-version-date", "2026-03-01"}, "2026-03-01 is not one of the versions"},
		{[]string{"--metrics-listen", "0.0.0.0:9090"}, "anyone who can reach the port"},
		{[]string{"--metrics-listen", ":9090"}, "anyone who can reach the port"},
		{[]string{"--metrics-listen", "[::]:9090"}, "anyone who can reach the port"},
		{[]string{"--metrics-listen", "127.0.0.1:9090"}, ""},
		{[]string{"--entitled-status", "active,drafted", "--trusted-proxies", "10.0.0.0/8", "--allowed-origin", "app://my-app,https://app.example.com"}, ""},
	} {
		code, out, errOut := tryConfig(key, append([]string{"--product", "prod_1"}, c.args...)...)
		assert.Zero(t, code)
		assert.Equal(t, "The settings are good.\n", out)
		if c.says == "" {
			assert.Empty(t, errOut)
		} else {
			assert.Contains(t, errOut, c.says)
		}
	}
}

func TestWarningsOfAWebhookSecret(t *testing.T) {
	for secret, wrong := range map[string]bool{testSecret: false, "whsec_a2V5": false, "whsec_": true, "whsec_%%%": true} {
		_, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_WEBHOOK_SECRET": secret}, "--product", "prod_1")
		assert.Equal(t, wrong, strings.Contains(errOut, "what follows is not base64"), errOut)
		assert.NotContains(t, errOut, "PRIVATE")
	}
}

func TestWarningsOfUnknownVariables(t *testing.T) {
	t.Setenv("WHOP_LICENSE_PRODUCTS", "PRIVATE")
	t.Setenv("WHOP_LICENSE_SOMETHING_ELSE", "PRIVATE")
	t.Setenv("WHOP_LICENSE_CACHE_TTL", "1m")
	t.Setenv("WHOP_LICENSE_API_KEY", "PRIVATE")
	t.Setenv("WHOP_LICENSES_DRAIN", "PRIVATE")
	t.Setenv("WHOP_COMPANY_ID", "another program's")
	_, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey}, "--product", "prod_1")
	assert.Contains(t, errOut, "WHOP_LICENSE_API_KEY: there is no such setting; did you mean WHOP_API_KEY?\n")
	assert.Contains(t, errOut, "WHOP_LICENSES_DRAIN: there is no such setting; did you mean WHOP_LICENSE_DRAIN?\n")
	assert.Contains(t, errOut, "WHOP_LICENSE_PRODUCTS: there is no such setting; did you mean WHOP_LICENSE_PRODUCT?\n")
	assert.Contains(t, errOut, "WHOP_LICENSE_SOMETHING_ELSE: there is no such setting; whop-license-gateway --help lists all settings\n")
	assert.Equal(t, 4, strings.Count(errOut, "\n"), errOut)
	assert.NotContains(t, errOut, "PRIVATE")
}

func TestWarningsOfACertificate(t *testing.T) {
	for notAfter, says := range map[time.Duration]string{time.Hour: "", -time.Minute: "the certificate expired on"} {
		dir := t.TempDir()
		writeCertificateUntil(t, dir, "license.example.com", time.Now().Add(notAfter))
		code, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey}, "--product", "prod_1", "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
		assert.Zero(t, code)
		assert.Equal(t, says == "", errOut == "", errOut)
		assert.Contains(t, errOut, says)
	}
}

func TestProxyFromTheEnvironment(t *testing.T) {
	for proxy, good := range map[string]bool{
		"": true, "http://proxy.example.com:3128": true, "proxy.example.com:3128": true, "https://u:PRIVATE@proxy.example.com/": true, "socks5://[::1]:1080": true,
		"http://u:PRIVATE@[::bad": false, "http://u:PRIVATE@": false, "://PRIVATE": false,
	} {
		t.Setenv("HTTPS_PROXY", proxy)
		code, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey}, "--product", "prod_1")
		assert.Equal(t, good, code == 0, "%s: %s", proxy, errOut)
		assert.NotContains(t, errOut, "PRIVATE")
	}
}

func TestTrustedProxyAsIPv4InIPv6(t *testing.T) {
	g := startGateway(t, startSim(t, nil), "--trusted-proxies", "::ffff:127.0.0.1", "--client-limit", "1")
	for n := range 3 {
		a := g.post(validatePath(testKey(fmt.Sprint("x", n))), `{"metadata":{}}`, "X-Forwarded-For", fmt.Sprint("203.0.113.", n))
		assert.Equal(t, 404, a.status, "clients are told apart")
	}
}

func TestSettingsFromTheEnvironment(t *testing.T) {
	t.Setenv("WHOP_LICENSE_PRODUCT", "prod_1,prod_2")
	t.Setenv("WHOP_LICENSE_CACHE_TTL", "2h")
	code, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey})
	assert.Equal(t, badSettings, code)
	assert.Equal(t, "whop-license-gateway: --cache-ttl: must be 0 to 1h\n", errOut, "and the products were read")
	code, _, _ = tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey}, "--cache-ttl", "1m")
	assert.Equal(t, 0, code, "a flag wins")
}

// People write a space after a comma, and Windows ends lines with a carriage return
// that a shell keeps.
func TestWhiteSpaceAroundValues(t *testing.T) {
	t.Setenv("WHOP_LICENSE_PRODUCT", "prod_1, prod_2\r")
	t.Setenv("WHOP_LICENSE_ENTITLED_STATUS", "active, trialing\r")
	t.Setenv("WHOP_LICENSE_LISTEN", " 127.0.0.1:0\r")
	code, _, errOut := tryConfig(map[string]string{"WHOP_API_KEY": testAPIKey})
	assert.Zero(t, code)
	assert.Empty(t, errOut)

	key := testKey("trialing")
	_, out, _ := operate(t, startSim(t, []fields{licensed(key, fields{"status": "trialing"})}), onLicense("show", key))
	assert.Contains(t, out, "trialing, entitled")
}

func TestVersionAndHelp(t *testing.T) {
	var out, errOut bytes.Buffer
	assert.Equal(t, 0, run(t.Context(), []string{"--version"}, os.Getenv, &out, &errOut))
	assert.Regexp(t, `^whop-license-gateway \d+\.\d+\.\d+\n$`, out.String())
	out.Reset()
	assert.Equal(t, 0, run(t.Context(), []string{"--help"}, os.Getenv, &out, &errOut))
	assert.Contains(t, out.String(), "WHOP_API_KEY_FILE")
	assert.Empty(t, errOut.String())
}

func TestParseUpstream(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.whop.com/api/v1":          "https://api.whop.com/api/v1",
		"https://api.whop.com/api/v1/":         "https://api.whop.com/api/v1",
		"https://sandbox-api.whop.com":         "https://sandbox-api.whop.com/api/v1",
		"http://127.0.0.1:7000/":               "http://127.0.0.1:7000/api/v1",
		"http://localhost:7000/somewhere/else": "http://localhost:7000/somewhere/else",
	} {
		u, err := parseUpstream(text)
		require.NoError(t, err)
		assert.Equal(t, want, u.String())
	}
}

// Every address that something secret or deciding comes from is held to this.
func TestWhatIsSecureFromOthers(t *testing.T) {
	for text, secure := range map[string]bool{
		"https://ca.example.com/dir": true, "https://192.0.2.1:8443": true,
		"http://localhost:14000/dir": true, "http://127.0.0.1": true, "http://[::1]": true, "http://[::1]:14000/dir": true,
		"http://ca.example.com": false, "http://192.0.2.1": false, "http://[2001:db8::1]:80": false, "http://localhost.example.com": false, "ftp://localhost": false,
	} {
		u, err := url.Parse(text)
		require.NoError(t, err)
		assert.Equal(t, secure, isSecure(u), text)
	}
	_, err := parsePublicURL("http://[::1]:8080/")
	assert.NoError(t, err)
}
