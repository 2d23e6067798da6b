//go:build unix

package main

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// keyring is a proxy in front of the simulator, which knows only one API key.
// It accepts several.
type keyring struct {
	mu    sync.Mutex
	valid map[string]bool
	used  map[string]int
}

func (k *keyring) take(bearer string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := strings.TrimPrefix(bearer, "Bearer ")
	k.used[key]++
	return k.valid[key]
}

// revoke deletes a key, and returns how often it was used.
func (k *keyring) revoke(key string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.valid, key)
	return k.used[key]
}

func (k *keyring) inFrontOf(t *testing.T, sim *simulator) *simulator {
	t.Helper()
	to, err := url.Parse(sim.url)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if k.take(r.In.Header.Get("Authorization")) {
			r.Out.Header.Set("Authorization", "Bearer "+testAPIKey)
		}
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return &simulator{t: t, url: server.URL}
}

// The API key is replaced as operating.md says, by a rolling restart behind nginx,
// while every check asks Whop.
func TestReplacingTheAPIKeyLosesNothing(t *testing.T) {
	t.Parallel()
	const oldKey, newKey = "old-PRIVATE-key", "new-PRIVATE-key"
	key := testKey("rekeyed")
	keys := &keyring{valid: map[string]bool{oldKey: true, newKey: true}, used: map[string]int{}}
	sim, r := keys.inFrontOf(t, startSim(t, []fields{boundTo(key, 1)})), gatewaytest.StartRedis(t)
	addrs := []string{gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t)}
	start := func(addr, apiKey string) *gw {
		p := startProgram(t, []string{asGateway + "=1", "WHOP_API_KEY=" + apiKey}, os.Args[0],
			gatewayArgs(sim, []string{"--listen", addr, "--redis-url", r.URL(), "--trusted-proxies", "127.0.0.1", "--drain", "300ms", "--cache-ttl", "0", "--license-limit", "0", "--client-limit", "0", "--upstream-budget", "0"})...)
		t.Cleanup(func() { _, _ = said.Write([]byte(p.logs.String())) })
		return &gw{t: t, url: p.url, logs: p.logs, stop: p.terminate}
	}
	ready := func(g *gw) func() bool { return func() bool { return isReady(g.url) } }
	gateways := make([]*gw, len(addrs))
	for i, addr := range addrs {
		gateways[i] = start(addr, oldKey)
		eventually(t, "it is ready", ready(gateways[i]))
	}
	front := startNginx(t, addrs)
	a := ask(func() string { return front }, key, 1)
	defer a.stop()

	tryKey(t, sim, newKey)
	mistyped := start("127.0.0.1:0", "mistyped-PRIVATE-key")
	assert.False(t, isReady(mistyped.url), "it would turn customers away")
	for i, addr := range addrs {
		assert.Equal(t, 0, gateways[i].stop())
		g := start(addr, newKey)
		eventually(t, "it is ready", ready(g))
		before := a.asked.Load()
		eventually(t, "customers ask", func() bool { return a.asked.Load() > before+20 })
	}
	used := keys.revoke(oldKey)
	assert.Positive(t, used)
	before := a.asked.Load()
	eventually(t, "customers ask", func() bool { return a.asked.Load() > before+20 })
	a.stop()
	assert.Zero(t, a.lost.Load(), "of %d", a.asked.Load())
	assert.Equal(t, used, keys.revoke(oldKey), "no gateway has the old key")
}

// A single gateway is restarted behind Caddy, set up as operating.md says. Apps
// make three attempts, of which they can lose two: one that is in flight when the
// gateway stops, and one that Caddy keeps until the gateway is back and then can't
// send, as Caddy has lost its body (github.com/caddyserver/caddy/issues/7546).
func TestRestartBehindCaddyLosesNothing(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("caddy")
	if err != nil {
		t.Skip("there is no caddy here")
	}
	key := testKey("restarted")
	sim, addr, front := startSim(t, []fields{boundTo(key, 1)}), gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t)
	start := func() *gw {
		g, _ := startGatewayProcess(t, sim, "--listen", addr, "--trusted-proxies", "127.0.0.1", "--drain", "300ms")
		return g
	}
	g := start()
	page, err := os.ReadFile("../../web/docs/operating.md")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(page), "```\nlicense.example.com {\n")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "```")
	require.Contains(t, text, "127.0.0.1:8080")
	text = "{\n\tadmin off\n\tauto_https off\n}\nhttp://" + front + " {\n" + strings.ReplaceAll(text, "127.0.0.1:8080", addr)
	dir := t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.Command(program, "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "Caddy answers", func() bool { return isReady("http://" + front) })
	a := ask(func() string { return "http://" + front }, key, 3)
	defer a.stop()
	assert.Equal(t, 0, g.stop())
	down := time.Now()
	time.Sleep(time.Second) // the gap that operating.md names, in which apps would make all of their attempts
	start()
	before := a.asked.Load()
	eventually(t, "customers ask", func() bool { return a.asked.Load() > before+20 })
	a.stop()
	assert.Zero(t, a.lost.Load(), "of %d; nothing listened for %s", a.asked.Load(), time.Since(down))
}

// tryKey runs the command that operating.md shows.
func tryKey(t *testing.T, sim *simulator, key string) {
	t.Helper()
	page, err := os.ReadFile("../../web/docs/operating.md")
	require.NoError(t, err)
	assert.Contains(t, string(page), "WHOP_API_KEY_FILE=api-key.new whop-license-gateway doctor\n")
	file := filepath.Join(t.TempDir(), "api-key.new")
	require.NoError(t, os.WriteFile(file, []byte(key+"\n"), 0o600))
	var out gatewaytest.Buffer
	env := map[string]string{"WHOP_API_KEY_FILE": file}
	code := run(t.Context(), []string{"doctor", "--upstream-url", sim.url, "--product", testProduct}, func(name string) string { return env[name] }, &out, &out)
	assert.Zero(t, code, out.String())
	assert.Regexp(t, `(?m)^good   look-up .*\n^good   binding `, out.String())
}
