package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

const testKey = "test-api-key"

// A target is a running simulator, called over a real socket.
type target struct {
	t    *testing.T
	url  string
	stop func() // idempotent; waits until it has ended
}

// parseArgs gives a config as the command line would.
func parseArgs(t testing.TB, args ...string) config {
	t.Helper()
	var cfg config
	parser, err := kong.New(&cfg, kong.Vars{"version": "test"})
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err)
	return cfg
}

// start runs the whole program but for main, with a memberships file.
func start(t *testing.T, memberships string, args ...string) *target {
	t.Helper()
	file := filepath.Join(t.TempDir(), "memberships.json")
	require.NoError(t, os.WriteFile(file, []byte(memberships), 0o600))
	cfg := parseArgs(t, append([]string{"--api-key", testKey, "--memberships", file}, args...)...)

	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, cfg, in, io.Discard)
		in.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	first, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	stopped := false
	tg := &target{t: t, url: strings.TrimSpace(first)}
	tg.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		require.NoError(t, <-done)
	}
	t.Cleanup(tg.stop)
	return tg
}

// An observation is what a client saw of one exchange.
type observation struct {
	err     error  // why the connection ended, if not in order
	raw     []byte // all that came
	status  int    // 0: no head came
	header  http.Header
	body    []byte
	bodyErr error // why the body ended, if not in order
}

// json gives the body as an object.
func (o observation) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(o.body, &m), "status %d, body %q", o.status, o.body)
	return m
}

// message gives an error body's message.
func (o observation) message(t testing.TB) string {
	t.Helper()
	detail, ok := o.json(t)["error"].(map[string]any)
	require.True(t, ok, "body %q", o.body)
	return detail["message"].(string)
}

// open sends a request by hand on its own connection.
func (tg *target) open(method, path, body string, headers ...string) net.Conn {
	tg.t.Helper()
	host := strings.TrimPrefix(tg.url, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(tg.t, err)
	tg.t.Cleanup(func() { _ = conn.Close() })
	head := []string{
		fmt.Sprintf("%s %s HTTP/1.1", method, path), "Host: " + host, "Connection: close",
		fmt.Sprintf("Content-Length: %d", len(body)),
	}
	_, err = io.WriteString(conn, strings.Join(append(head, headers...), "\r\n")+"\r\n\r\n"+body)
	require.NoError(tg.t, err)
	return conn
}

// receive reads until the connection ends.
func receive(t *testing.T, method string, conn net.Conn) observation {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	var o observation
	o.raw, o.err = io.ReadAll(conn)
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(o.raw)), &http.Request{Method: method})
	if err != nil {
		return o
	}
	o.status, o.header = resp.StatusCode, resp.Header
	o.body, o.bodyErr = io.ReadAll(resp.Body)
	return o
}

// bare sends a request with exactly these headers.
func (tg *target) bare(method, path, body string, headers ...string) observation {
	tg.t.Helper()
	return receive(tg.t, method, tg.open(method, path, body, headers...))
}

var credentials = []string{"Authorization: Bearer " + testKey, "Content-Type: application/json", "Accept: application/json"}

// call sends a request with the API key and the documented headers.
func (tg *target) call(method, path, body string, headers ...string) observation {
	tg.t.Helper()
	return tg.bare(method, path, body, append(headers, credentials...)...)
}

func validatePath(key string) string { return "/api/v2/memberships/" + key + "/validate_license" }

func (tg *target) validate(key, body string) observation {
	tg.t.Helper()
	return tg.call("POST", validatePath(key), body)
}

func (tg *target) get(key string, headers ...string) observation {
	tg.t.Helper()
	return tg.call("GET", "/api/v1/memberships/"+key, "", headers...)
}

func (tg *target) patch(id, body string, headers ...string) observation {
	tg.t.Helper()
	return tg.call("PATCH", "/api/v1/memberships/"+id, body, headers...)
}

// sim calls a control route, which must answer with the status.
func (tg *target) sim(status int, method, path, body string) observation {
	tg.t.Helper()
	o := tg.bare(method, path, body)
	require.Equal(tg.t, status, o.status, "%s %s: %s", method, path, o.body)
	return o
}

// stored gives a membership as the simulator keeps it.
func (tg *target) stored(key string) map[string]any {
	tg.t.Helper()
	return tg.sim(200, "GET", "/sim/memberships/"+key, "").json(tg.t)
}

// journal gives the requests so far.
func (tg *target) journal() []entry {
	tg.t.Helper()
	var list []entry
	require.NoError(tg.t, json.Unmarshal(tg.sim(200, "GET", "/sim/requests", "").body, &list))
	return list
}

// last waits for the last request to have ended, and gives it.
func (tg *target) last() entry {
	tg.t.Helper()
	var e entry
	require.Eventually(tg.t, func() bool {
		list := tg.journal()
		require.NotEmpty(tg.t, list)
		e = list[len(list)-1]
		return e.Outcome != "pending"
	}, waitFor, tick)
	return e
}

func (tg *target) stats(op operation) operationStats {
	tg.t.Helper()
	var all struct{ Operations map[operation]operationStats }
	require.NoError(tg.t, json.Unmarshal(tg.sim(200, "GET", "/sim/stats", "").body, &all))
	return all.Operations[op]
}

// newTestCall is a PATCH with an idempotency key, for what needs no server.
func newTestCall(t testing.TB, idempotencyKey string) *exchange {
	t.Helper()
	r, err := http.NewRequest("PATCH", "/api/v1/memberships/mem_1", nil)
	require.NoError(t, err)
	r.Header.Set("Idempotency-Key", idempotencyKey)
	return &exchange{op: opPatch, r: r}
}

// How long a test polls for what must come, and how often.
const (
	waitFor = 30 * time.Second
	tick    = time.Millisecond
)
