package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// Secrets and personal data in the tests carry these marks, so that what must
// not be logged or answered can be found wherever it ends up. KeyMark is in the
// middle of a license key, which a shortened one leaves out.
const (
	testAPIKey   = "apikey-PRIVATE-4711"
	testSecret   = "hook-PRIVATE-secret"
	keyMark      = gatewaytest.KeyMark
	machineMark  = gatewaytest.MachineMark
	personalMark = gatewaytest.PersonalMark
	testProduct  = "prod_sim"
)

// Short names for what is used on nearly every line.
var (
	testKey       = gatewaytest.Key
	machine       = gatewaytest.Machine
	eventually    = gatewaytest.Eventually
	signedHeaders = gatewaytest.SignedHeaders
)

// program is another process, whose first line of output is its URL.
type program struct {
	cmd  *exec.Cmd
	url  string
	logs *gatewaytest.Buffer
	done chan struct{}
}

func startProgram(t testing.TB, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(name, args...), logs: &gatewaytest.Buffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = p.logs
	_, err := p.cmd.StdinPipe() // a program that asks somebody waits, as it would at a terminal
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		require.NoError(t, err, "%s did not start: %s", name, p.logs)
	}
	p.url = strings.TrimSpace(line)
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	return p
}

// gw is a running gateway, in this process or in its own.
type gw struct {
	t    testing.TB
	url  string
	logs *gatewaytest.Buffer
	stop func() int // ends it as SIGTERM does, and returns its exit code
}

func gatewayArgs(sim *simulator, args []string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--upstream-url", sim.url, "--product", testProduct, "--drain", "0"}, args...)
}

// startGateway runs the gateway in this process.
func startGateway(t testing.TB, sim *simulator, args ...string) *gw {
	t.Helper()
	return startGatewayWith(t, sim, map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_WEBHOOK_SECRET": testSecret}, args...)
}

func startGatewayWith(t testing.TB, sim *simulator, env map[string]string, args ...string) *gw {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, outWriter := io.Pipe()
	g := &gw{t: t, logs: &gatewaytest.Buffer{}}
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, gatewayArgs(sim, args), func(name string) string { return env[name] }, outWriter, io.MultiWriter(g.logs, &said))
		ended <- code
		_ = outWriter.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "the gateway did not start: %s", g.logs)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	sim.starts.Add(1)
	g.url = strings.TrimSpace(line)
	g.stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { g.stop() })
	return g
}

// startGatewayProcess runs the gateway in a process of its own.
func startGatewayProcess(t testing.TB, sim *simulator, args ...string) (*gw, *os.Process) {
	t.Helper()
	p := startProgram(t, []string{asGateway + "=1", "WHOP_API_KEY=" + testAPIKey, "WHOP_WEBHOOK_SECRET=" + testSecret}, os.Args[0], gatewayArgs(sim, args)...)
	sim.starts.Add(1)
	t.Cleanup(func() { _, _ = io.WriteString(&said, p.logs.String()) })
	return &gw{t: t, url: p.url, logs: p.logs, stop: p.terminate}, p.cmd.Process
}

// terminate ends a program as SIGTERM does, and returns its exit code.
func (p *program) terminate() int {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// answer is what a gateway answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the code of a failure.
func (a answer) code() string {
	var f struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.body), &f)
	return f.Error.Code
}

var client = &http.Client{
	Transport:     &http.Transport{MaxIdleConnsPerHost: 1100},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       60 * time.Second,
}

// tryDo sends a request. The answer must be one that openapi.yaml describes.
func (g *gw) tryDo(req *http.Request, body []byte) (answer, error) {
	if body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{resp.StatusCode, resp.Header, string(b)}
	said.answered(a)
	if err := conforms(req, a); err != nil {
		g.t.Errorf("an answer is not as openapi.yaml says: %v\n%s %s: %d %v %s", err, req.Method, req.URL.Path, a.status, a.header, a.body)
	}
	return a, nil
}

func (g *gw) post(path, body string, header ...string) answer {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.url+path, nil)
	require.NoError(g.t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	a, err := g.tryDo(req, []byte(body))
	require.NoError(g.t, err)
	return a
}

func (g *gw) get(path string) answer {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, g.url+path, nil)
	require.NoError(g.t, err)
	a, err := g.tryDo(req, nil)
	require.NoError(g.t, err)
	return a
}

const (
	validatePrefix = "/api/v2/memberships/"
	validateSuffix = "/validate_license"
)

func validatePath(key string) string {
	return validatePrefix + url.PathEscape(key) + validateSuffix
}

// validate asks as an app does that names its machine HWID.
func (g *gw) validate(key, hwid string) answer {
	g.t.Helper()
	return g.post(validatePath(key), `{"metadata":{"HWID":"`+hwid+`"}}`)
}

// validateFrom asks as an app behind a trusted proxy does.
func (g *gw) validateFrom(addr, key string) answer {
	return g.post(validatePath(key), `{"metadata":{"HWID":"`+machine(1)+`"}}`, "X-Forwarded-For", addr)
}

func (g *gw) tryValidate(key, hwid string) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, g.url+validatePath(key), nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return g.tryDo(req, []byte(`{"metadata":{"HWID":"`+hwid+`"}}`))
}

// logged reports whether a log line holds all the texts.
func (g *gw) logged(texts ...string) bool {
	for line := range strings.Lines(g.logs.String()) {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			return true
		}
	}
	return false
}

func statuses(answers []answer) map[int]int {
	counts := map[int]int{}
	for _, a := range answers {
		counts[a.status]++
	}
	return counts
}

func assertRefused(t testing.TB, a answer, status int, code string) {
	t.Helper()
	assert.Equal(t, status, a.status, a.body)
	assert.Equal(t, code, a.code(), a.body)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		assert.Regexp(t, `^[1-9][0-9]*$`, a.header.Get("Retry-After"))
	}
}

// metric returns the value of a series that a gateway shows at an address.
func metric(t testing.TB, addr, series string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no %s", series)
	return ""
}

// sendWebhook tells a gateway that a membership changed.
func sendWebhook(t testing.TB, g *gw, sim *simulator, key, id string) {
	t.Helper()
	body := `{"type":"membership.updated","data":{"id":"` + sim.membership(key).ID + `"}}`
	require.Equal(t, http.StatusNoContent, g.post("/webhooks/whop", body, signedHeaders(t, []byte(testSecret), id, time.Now(), body)...).status)
}
