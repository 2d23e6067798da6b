package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

func TestProcessStartsServesAndStops(t *testing.T) {
	key := testKey("process")
	sim := startSim(t, []fields{licensed(key)})
	g, _ := startGatewayProcess(t, sim)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, g.url)
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, 0, g.stop())
	for line := range strings.Lines(g.logs.String()) {
		assert.Regexp(t, `^\{.*\}\n$`, line, "each line is JSON")
	}
}

func TestShutdownFinishesWhatIsUnderWay(t *testing.T) {
	key := testKey("drain")
	sim := startSim(t, []fields{licensed(key)}, "--latency", "400ms")
	g, _ := startGatewayProcess(t, sim)
	first := make(chan answer, 1)
	go func() { a, _ := g.tryValidate(key, machine(1)); first <- a }()
	eventually(t, "the write is under way", func() bool { return sim.inFlight("v1.patch") == 1 })
	assert.Equal(t, 0, g.stop())
	assert.Equal(t, 201, (<-first).status)
	_, err := g.tryValidate(key, machine(1))
	assert.Error(t, err, "and nothing new is taken")
}

// A caller who leaves in the middle of a first use leaves a whole binding.
func TestBindingGoesOnWhenItsCallerLeaves(t *testing.T) {
	key := testKey("leaver")
	sim := startSim(t, []fields{licensed(key)}, "--latency", "300ms")
	g := startGateway(t, sim)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(t, err)
	body := `{"metadata":{"HWID":"` + machine(1) + `"}}`
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", validatePath(key), len(body), body)
	eventually(t, "the write is under way", func() bool { return sim.inFlight("v1.patch") == 1 })
	require.NoError(t, conn.Close())
	eventually(t, "it is confirmed", func() bool { return g.logged("bound a license") })
	calls := sim.calls("v1.get")
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, calls, sim.calls("v1.get"), "and remembered")
}

func TestAddressInUse(t *testing.T) {
	sim := startSim(t, nil)
	g := startGateway(t, sim)
	var out, errOut gatewaytest.Buffer
	env := func(name string) string { return map[string]string{"WHOP_API_KEY": testAPIKey}[name] }
	args := append(gatewayArgs(sim, nil), "--listen", strings.TrimPrefix(g.url, "http://"))
	assert.Equal(t, 1, run(t.Context(), args, env, &out, &errOut))
	assert.Contains(t, errOut.String(), "--listen")
	assert.Empty(t, out.String())
}

func TestMetricsAreOnTheirOwnListener(t *testing.T) {
	key := testKey("metrics")
	sim := startSim(t, []fields{licensed(key)})
	addr := freeAddress(t)
	g := startGateway(t, sim, "--metrics-listen", addr)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	assert.Equal(t, 404, g.get("/metrics").status)
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for _, want := range []string{
		`whop_license_validations_total{outcome="valid"} 1`,
		`whop_license_validations_total{outcome="metadata_mismatch"} 1`,
		`whop_license_bindings_total{result="bound"} 1`,
		`whop_license_upstream_seconds_count{operation="write",result="ok"} 1`,
		`whop_license_circuit_open 0`,
	} {
		assert.Contains(t, string(b), want+"\n")
	}
	assert.NotContains(t, string(b), "mem_")
}

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
	assert.True(t, g.logged(`"level":"WARN"`, `"origin":"null"`, "scheme of its own"))
	assert.True(t, g.logged(`"level":"WARN"`, `"origin":"file://"`, "grantFileProtocolExtraPrivileges"))
	assert.False(t, g.logged("--allowed-origin=null"))
	assert.False(t, g.logged("--allowed-origin=file"))
	assert.Equal(t, 3, warnings(), g.logs.String())
	for i := range 100 {
		preflight(fmt.Sprintf("https://page-%d.example", i))
	}
	assert.LessOrEqual(t, warnings(), 11, "strangers can't fill the log")
}

// Browsers send a page's form or plain text anywhere without asking first.
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

// What is sent byte by byte, or never finished, is cut off; what is too long is
// not read.
func TestHostileConnections(t *testing.T) {
	t.Parallel() // it mostly waits
	key := testKey("hostile")
	g := startGateway(t, startSim(t, []fields{licensed(key)}))
	send := func(request string) string {
		conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		go func() { _, _ = io.WriteString(conn, request) }()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return line
	}
	head := "POST " + validatePath(key) + " HTTP/1.1\r\nHost: x\r\n"
	assert.Contains(t, send(head+"X: "+strings.Repeat("x", 64<<10)+"\r\n\r\n"), " 431 ")
	assert.Contains(t, send(head+"Content-Length: 1000000000\r\n\r\n"+strings.Repeat("x", 70<<10)), " 400 ")
	assert.Contains(t, send(head+"Transfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 20)), " 400 ")
	assert.Contains(t, send(head+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), " 400 ")
	assert.Contains(t, send("GET\r\n\r\n"), " 400 ")
	assert.Empty(t, send(head+"Content-Length: 10\r\n"), "a head that never ends")
	assert.Contains(t, send(head+"Content-Length: 10\r\n\r\n{"), " 408 ", "nor a body: that says nothing of the license")
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
}

// newTestGateway makes a gateway that listens nowhere, and whose parts are changed
// as a test needs it.
func newTestGateway(t *testing.T, change func(*shared), args ...string) *gateway {
	t.Helper()
	var s settings
	parser, err := kong.New(&s)
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"--product", testProduct}, args...))
	require.NoError(t, err)
	l, err := s.load(func(name string) string { return map[string]string{"WHOP_API_KEY": testAPIKey}[name] })
	require.NoError(t, err)
	m := newMetrics()
	with := alone(&s, m)
	change(&with)
	return assemble(&s, l, with, m, tag.NewTagger(testAPIKey), gatewaytest.DiscardLog())
}

func writeCertificate(t *testing.T, dir, name string) {
	t.Helper()
	writeCertificateUntil(t, dir, name, time.Now().Add(time.Hour))
}

// writeCertificateUntil writes a certificate that signs itself, for a name and for
// loopback.
func writeCertificateUntil(t *testing.T, dir, name string, notAfter time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: notAfter, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

func TestTLS(t *testing.T) {
	key := testKey("tls")
	dir := t.TempDir()
	writeCertificate(t, dir, "first")
	g := startGateway(t, startSim(t, []fields{licensed(key)}), "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	assert.True(t, strings.HasPrefix(g.url, "https://"))
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := insecure.Post(g.url+validatePath(key), "application/json", strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 201, resp.StatusCode)
	assert.Equal(t, "HTTP/2.0", resp.Proto)
	assert.Equal(t, "first", resp.TLS.PeerCertificates[0].Subject.CommonName)
}

// certificateName is whose certificate a gateway shows.
func certificateName(t *testing.T, url string) string {
	c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	var logs gatewaytest.Buffer
	writeCertificate(t, dir, "first")
	c, err := newCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.NewJSONHandler(&logs, nil)))
	require.NoError(t, err)
	name := func() string {
		pair, err := c.Get(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		require.NoError(t, err)
		return leaf.Subject.CommonName
	}
	touch := func(at time.Time) {
		require.NoError(t, os.Chtimes(filepath.Join(dir, "cert.pem"), at, at))
		c.checked = time.Time{}
	}
	writeCertificate(t, dir, "second")
	assert.Equal(t, "first", name(), "not looked at for every connection")
	touch(time.Now().Add(time.Second))
	assert.Equal(t, "second", name())
	assert.Empty(t, logs.String())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half a renewal"), 0o600))
	touch(time.Now().Add(2 * time.Second))
	assert.Equal(t, "second", name())
	assert.Contains(t, logs.String(), "the certificate's files can't be used")
}

func FuzzRequest(f *testing.F) {
	sim := startSim(f, []fields{licensed("FUZZ-" + keyMark + "-0001")})
	g := startGateway(f, sim, "--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0")
	f.Add("FUZZ-"+keyMark+"-0001", []byte(`{"metadata":{"HWID":"a"}}`), "198.51.100.1")
	f.Add("%2e%2e", []byte(`{"metadata":{}}`), "")
	f.Add("a%2Fb", []byte(`{"metadata":{"HWID":1e999}}`), ",,,")
	f.Add("mem_x", []byte("{\"metadata\":{\"\xff\":\"a\"}}"), "::1")
	f.Fuzz(func(t *testing.T, segment string, body []byte, forwarded string) {
		for _, c := range []byte(segment + forwarded) {
			if c <= ' ' || c > '~' {
				return // net/http's own client would not send it
			}
		}
		req, err := http.NewRequest(http.MethodPost, g.url+validatePrefix+segment+validateSuffix, nil)
		if err != nil || !strings.HasPrefix(req.URL.EscapedPath(), validatePrefix) {
			return
		}
		req.Header.Set("X-Forwarded-For", forwarded)
		a, err := (&gw{t: t, url: g.url}).tryDo(req, body)
		require.NoError(t, err)
		assert.Contains(t, []int{201, 400, 404}, a.status, a.body)
	})
	assert.Zero(f, sim.calls("unknown"), "no license key leads to another of Whop's routes")
}

// A gateway whose API key Whop refuses does not take the place of one that works.
func TestRefusedAPIKeyKeepsAGatewayFromBeingReady(t *testing.T) {
	sim := startSim(t, nil)
	sim.outage("401")
	g := startGateway(t, sim)
	assert.Equal(t, 503, g.get("/readyz").status)
	assert.True(t, g.logged("Whop refuses the API key"))
	assert.True(t, g.logged("not ready until Whop accepts"))
	sim.outage("")
	eventually(t, "it is ready", func() bool { return g.get("/readyz").status == 200 })
}

func TestAnOutageDoesNotKeepAGatewayFromBeingReady(t *testing.T) {
	for _, kind := range []string{"reset", "500", "html-404", "429"} {
		sim := startSim(t, nil)
		sim.outage(kind)
		assert.Equal(t, 200, startGateway(t, sim).get("/readyz").status, kind)
	}
}
