package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCORS(t *testing.T) {
	key := testKey("cors")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--allowed-origin", "https://app.example.com", "--allowed-origin", "app://shell", "--client-limit", "1")
	none := startGateway(t, sim)
	preflight := func(g *gw, origin string) http.Header {
		req, err := http.NewRequest(http.MethodOptions, g.url+validatePath(key), nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "content-type")
		resp, err := client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.Header
	}
	for _, origin := range []string{"https://app.example.com", "app://shell"} {
		h := preflight(g, origin)
		assert.Equal(t, origin, h.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, "POST", h.Get("Access-Control-Allow-Methods"))
		assert.Contains(t, strings.ToLower(h.Get("Access-Control-Allow-Headers")), "content-type")
		assert.Empty(t, h.Get("Access-Control-Allow-Credentials"))
	}
	// A page from a file has no origin, and neither has a sandboxed frame.
	files := startGateway(t, sim, "--allowed-origin", "null")
	assert.Equal(t, "null", preflight(files, "null").Get("Access-Control-Allow-Origin"))
	assert.True(t, files.logged(`"level":"WARN"`, "sandboxed frame"), "only where it is asked for, and not without a word")
	assert.False(t, g.logged("sandboxed frame"))
	for _, origin := range []string{"https://evil.example.com", "http://app.example.com", "https://app.example.com.evil.example", "https://APP.example.com:444", "null"} {
		assert.Empty(t, preflight(g, origin).Get("Access-Control-Allow-Origin"), origin)
	}
	assert.Empty(t, preflight(none, "https://app.example.com").Get("Access-Control-Allow-Origin"), "no list, no origin")

	body := `{"metadata":{"HWID":"` + machine(1) + `"}}`
	a := g.post(validatePath(key), body, "Origin", "https://app.example.com")
	assert.Equal(t, 201, a.status)
	assert.Equal(t, "https://app.example.com", a.header.Get("Access-Control-Allow-Origin"))
	a = g.post(validatePath(testKey("x")), body, "Origin", "https://app.example.com")
	assertRefused(t, a, 429, "rate_limited")
	assert.Equal(t, "Retry-After", a.header.Get("Access-Control-Expose-Headers"))
	assert.Equal(t, "Origin", a.header.Get("Vary"))
	a = g.post(validatePath(key), body, "Origin", "https://evil.example.com")
	assert.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
}

// A page that can't read an answer can't tell a wrong endpoint from a lost connection.
func TestCORSOnEveryPath(t *testing.T) {
	const page = "https://app.example.com"
	g := startGateway(t, startSim(t, nil), "--allowed-origin", page)
	ask := func(method, path, origin string, header ...string) (int, http.Header) {
		req, err := http.NewRequest(method, g.url+path, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	for _, path := range []string{"/healthz", "/readyz", "/.well-known/jwks.json", "/", "/v1" + validatePath("x"), "/webhooks/whop"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			_, h := ask(method, path, page)
			assert.Equal(t, page, h.Get("Access-Control-Allow-Origin"), "%s %s", method, path)
			_, h = ask(method, path, "https://evil.example.com")
			assert.Empty(t, h.Get("Access-Control-Allow-Origin"), "%s %s", method, path)
		}
	}
	// What tracing libraries add to a page's requests.
	const traced = "baggage,content-type,sentry-trace,traceparent,x-datadog-trace-id"
	status, h := ask(http.MethodOptions, "/v1"+validatePath("x"), page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", traced)
	assert.Equal(t, 204, status)
	assert.Equal(t, traced, h.Get("Access-Control-Allow-Headers"))
	assert.Equal(t, "600", h.Get("Access-Control-Max-Age"))
	long := strings.Repeat("x-header,", 1000)
	status, h = ask(http.MethodOptions, validatePath("x"), page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", long)
	assert.Equal(t, 204, status)
	assert.Empty(t, h.Get("Access-Control-Allow-Headers"), "a list without end is not repeated")
}

func TestRefusedOriginIsLoggedOnce(t *testing.T) {
	g := startGateway(t, startSim(t, nil), "--allowed-origin", "https://app.example.com")
	preflight := func(origin string) {
		req, err := http.NewRequest(http.MethodOptions, g.url+validatePath("x"), nil)
		require.NoError(t, err)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		resp, err := client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
	}
	warnings := func() int { return strings.Count(g.logs.String(), `"msg":"a page`) }
	preflight("https://app.example.com")
	for _, junk := range []string{"nonsense", "https://a.example;x", "https://$(x).example", "https://A.example.com", "https://" + strings.Repeat("a", 400) + ".example"} {
		preflight(junk)
	}
	assert.Zero(t, warnings(), "no browser sends these, and nobody should paste them")
	for range 3 {
		preflight("http://localhost:5173")
		preflight("null")
		preflight("file://")
	}
	assert.True(t, g.logged(`"level":"WARN"`, `"flag":"--allowed-origin=http://localhost:5173"`), g.logs.String())
	assert.True(t, g.logged(`"level":"WARN"`, `"origin":"null"`, "custom scheme"))
	assert.True(t, g.logged(`"level":"WARN"`, `"origin":"file://"`, "grantFileProtocolExtraPrivileges"))
	assert.False(t, g.logged("--allowed-origin=null"))
	assert.False(t, g.logged("--allowed-origin=file"))
	assert.Equal(t, 3, warnings(), g.logs.String())
	for i := range 100 {
		preflight(fmt.Sprintf("https://page-%d.example", i))
	}
	assert.LessOrEqual(t, warnings(), 11, "strangers can't fill the log")
}

// Browsers send a page's form or plain text anywhere without a preflight.
func TestPageOfAnotherOriginCannotBind(t *testing.T) {
	key := testKey("simple")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--allowed-origin", "https://app.example.com")
	ask := func(origin, contentType string) answer {
		req, err := http.NewRequest(http.MethodPost, g.url+validatePath(key), nil)
		require.NoError(t, err)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		a, err := g.tryDo(req, []byte(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
		require.NoError(t, err)
		return a
	}
	for _, contentType := range []string{"", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; a=application/json"} {
		assertRefused(t, ask("https://evil.example.com", contentType), 400, "invalid_request")
	}
	assert.Zero(t, sim.calls("v1.get"))
	assert.Equal(t, 201, ask("https://app.example.com", "text/plain").status, "a page that is allowed")
	assert.Equal(t, 201, ask("", "").status, "no page")
	assert.Equal(t, 201, ask("file://", "application/json; charset=utf-8").status, "an app whose pages heed no origins")
}
