//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// startSmallGateway runs a gateway in a process that may have few files open. It
// holds half of them as connections, and 1/16 of those for one client.
func startSmallGateway(t *testing.T, sim *simulator, files int, args ...string) *gw {
	env := []string{asGateway + "=1", "WHOP_API_KEY=" + testAPIKey}
	shell := append([]string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files), os.Args[0]}, gatewayArgs(sim, args)...)
	p := startProgram(t, env, "sh", shell...)
	t.Cleanup(func() { _, _ = io.WriteString(&said, p.logs.String()) })
	return &gw{t: t, url: p.url, logs: p.logs}
}

// connect opens a connection to the gateway and sends a text on it.
func (g *gw) connect(text string) net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, text)
	return c
}

// alone asks on a connection of its own.
func (g *gw) alone(key, hwid string) (int, error) {
	request := fmt.Sprintf(`{"metadata":{"HWID":"%s"}}`, hwid)
	c := g.connect(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", validatePath(key), len(request), request))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func TestIdleConnectionsOfOneClient(t *testing.T) {
	key, addr := testKey("crowded"), gatewaytest.FreeAddress(t)
	g := startSmallGateway(t, startSim(t, []fields{licensed(key)}), 400, "--metrics-listen", addr)
	for range 100 {
		g.connect("")
	}
	status, err := g.alone(key, machine(1))
	require.NoError(t, err)
	assert.Equal(t, 201, status)
	open, err := strconv.Atoi(metric(t, addr, "whop_license_connections"))
	require.NoError(t, err)
	assert.LessOrEqual(t, open, 200/16)
	assert.NotEqual(t, "0", metric(t, addr, `whop_license_connections_closed_total{limit="client"}`))
	assert.Equal(t, 1, g.count("one client holds as many connections as it may", "--trusted-proxies"))
}

func TestIdleConnectionsOfAll(t *testing.T) {
	key, addr := testKey("crowded"), gatewaytest.FreeAddress(t)
	g := startSmallGateway(t, startSim(t, []fields{licensed(key)}), 400, "--metrics-listen", addr, "--trusted-proxies", "127.0.0.1")
	for range 500 {
		g.connect("")
	}
	status, err := g.alone(key, machine(1))
	require.NoError(t, err)
	assert.Equal(t, 201, status)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200} {
		resp, err := http.Get("http://" + addr + path)
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, want, resp.StatusCode, path)
	}
	open, err := strconv.Atoi(metric(t, addr, "whop_license_connections"))
	require.NoError(t, err)
	assert.InDelta(t, 200, open, 1)
	assert.Equal(t, "200", metric(t, addr, "whop_license_connections_limit"))
	assert.True(t, g.logged("the limit of connections is reached", "LimitNOFILE"))
}

// While too much memory is in use, connections that wait are closed, except for the
// last 500, and customers are answered.
func TestIdleConnectionsThatTakeTooMuchMemory(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "4MiB") // less than the gateway takes at rest
	key, addr := testKey("crowded"), gatewaytest.FreeAddress(t)
	g := startSmallGateway(t, startSim(t, []fields{licensed(key)}), 1400, "--metrics-listen", addr, "--trusted-proxies", "127.0.0.1")
	for range 600 {
		g.connect("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") // an unused connection would be closed sooner
	}
	eventually(t, "100 are closed", func() bool {
		return metric(t, addr, `whop_license_connections_closed_total{limit="memory"}`) == "100"
	})
	assert.Equal(t, "500", metric(t, addr, "whop_license_connections"))
	assert.Equal(t, 1, g.count("the gateway uses more memory than it should"))
	status, err := g.alone(key, machine(1))
	require.NoError(t, err)
	assert.Equal(t, 201, status)
}

// Requests that never arrive whole keep no customer away, whatever they ask for, and
// one that did arrive is answered however many come after it.
func TestRequestsOfAllThatNeverArriveWhole(t *testing.T) {
	t.Parallel()
	early, late := testKey("early"), testKey("late")
	sim := startSim(t, []fields{licensed(early), licensed(late)}, "--latency", "1s")
	g := startSmallGateway(t, sim, 400, "--trusted-proxies", "127.0.0.1")
	first := make(chan int, 1)
	go func() { status, _ := g.alone(early, machine(1)); first <- status }()
	eventually(t, "the write is under way", func() bool { return sim.inFlight("v1.patch") == 1 })
	for range 100 {
		for _, path := range []string{validatePath(late), "/webhooks/whop", "/elsewhere"} {
			g.connect("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
		}
	}
	status, err := g.alone(late, machine(1))
	require.NoError(t, err)
	assert.Equal(t, 201, status)
	assert.Equal(t, 201, <-first)
}

// Large bodies that don't arrive take a bounded share of memory, and small ones
// are read all the same.
func TestStalledBodies(t *testing.T) {
	key := testKey("patient")
	g := startGateway(t, startSim(t, []fields{licensed(key)}))
	room := 16 << 20 / (64 << 10)
	stalled := "POST " + validatePath(testKey("large")) + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n" + strings.Repeat(" ", 5000)
	refused := make(chan string, room+20)
	for range room + 20 {
		c := g.connect(stalled)
		go func() {
			line, _ := bufio.NewReader(c).ReadString('\n')
			if strings.Contains(line, "503") {
				rest, _ := io.ReadAll(c) // until the gateway closes the connection
				line += string(rest)
			}
			refused <- line
		}()
	}
	for range 20 {
		assert.Contains(t, <-refused, "503 Service Unavailable") // and no 408, as each of the others is given up
	}
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
}
