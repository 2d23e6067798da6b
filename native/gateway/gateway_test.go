package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
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
	t.Parallel()
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

func TestShutdownFinishesInFlightRequests(t *testing.T) {
	t.Parallel()
	key := testKey("drain")
	sim := startSim(t, []fields{licensed(key)}, "--latency", "1s")
	g, _ := startGatewayProcess(t, sim)
	first := make(chan answer, 1)
	go func() { a, _ := g.tryValidate(key, machine(1)); first <- a }()
	eventually(t, "the write is under way", func() bool { return sim.inFlight("v1.patch") == 1 })
	assert.Equal(t, 0, g.stop())
	assert.Equal(t, 201, (<-first).status)
	_, err := g.tryValidate(key, machine(1))
	assert.Error(t, err, "and nothing new is taken")
}

// If the client disconnects in the middle of a first use, the binding is finished.
func TestBindingContinuesWhenTheClientDisconnects(t *testing.T) {
	t.Parallel()
	key := testKey("leaver")
	sim := startSim(t, []fields{licensed(key)}, "--latency", "1s")
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
	addr := gatewaytest.FreeAddress(t)
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

// Requests that are sent byte by byte, or never finished, are cut off; what is
// too long is not read.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
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

// newTestGateway returns a gateway that doesn't listen, with parts changed for
// a test.
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

// A gateway whose API key Whop refuses never replaces one that works.
func TestRefusedAPIKeyKeepsAGatewayFromBeingReady(t *testing.T) {
	t.Parallel()
	sim := startSim(t, nil)
	sim.outage("401")
	addr := gatewaytest.FreeAddress(t)
	g := startGateway(t, sim, "--metrics-listen", addr)
	assert.Equal(t, 503, g.get("/readyz").status)
	assert.Equal(t, "0", metric(t, addr, "whop_license_ready"))
	assert.True(t, g.logged("Whop refuses the API key"))
	assert.True(t, g.logged("not ready until Whop accepts"))
	sim.outage("")
	eventually(t, "it is ready", func() bool { return g.get("/readyz").status == 200 })
	assert.Equal(t, "1", metric(t, addr, "whop_license_ready"))
}

func TestAnOutageDoesNotKeepAGatewayFromBeingReady(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"reset", "500", "html-404", "429"} {
		sim := startSim(t, nil)
		sim.outage(kind)
		assert.Equal(t, 200, startGateway(t, sim).get("/readyz").status, kind)
	}
}
