package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/version"
)

// build compiles the program as it is shipped.
func build(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "whopsim")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	out, err := exec.Command("go", "build", "-o", name, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return name
}

func TestTheProgram(t *testing.T) {
	program := build(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		return name
	}
	good := file("good.json", `[{"license_key":"K"},{"license_key":"T","fault":"timeout"}]`)

	t.Run("serves and stops", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("Windows has no SIGTERM")
		}
		for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
			cmd := exec.Command(program, "--api-key", testKey, "--memberships", good)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			lines := bufio.NewReader(stdout)
			first, err := lines.ReadString('\n')
			require.NoError(t, err)
			require.Regexp(t, `^http://127\.0\.0\.1:[1-9]\d*\n$`, first)

			sim := &target{t: t, url: strings.TrimSpace(first)}
			assert.Equal(t, 201, sim.validate("K", `{"metadata":{"HWID":"1"}}`).status)
			conn := sim.open("POST", validatePath("T"), `{"metadata":{}}`, credentials...)
			require.Eventually(t, func() bool { return sim.stats(opValidate).InFlight == 1 }, waitFor, tick)

			require.NoError(t, cmd.Process.Signal(signal))
			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			assert.Empty(t, rest, "nothing but the URL is written")
			assert.NoError(t, cmd.Wait(), "exit code 0")
			assert.Empty(t, stderr.String())
			_ = conn.Close()
		}
	})

	t.Run("refuses", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = taken.Close() })
		for name, c := range map[string]struct {
			args []string
			says string
		}{
			"missing file":     {[]string{"--memberships", filepath.Join(dir, "none.json")}, "none.json"},
			"a folder":         {[]string{"--memberships", dir}, dir},
			"bad JSON":         {[]string{"--memberships", file("bad.json", `[{"license_key":"K"}`)}, "bad.json: not a JSON array of objects: unexpected end"},
			"unknown fault":    {[]string{"--memberships", file("fault.json", `[{"license_key":"K","fault":"tomeout"}]`)}, `[0].fault: "tomeout" is unknown; known are`},
			"double key":       {[]string{"--memberships", file("double.json", `[{"license_key":"K"},{"license_key":"K"}]`)}, `[1].license_key: "K" is already taken`},
			"double id":        {[]string{"--memberships", file("ids.json", `[{"license_key":"K","id":"m"},{"license_key":"L","id":"m"}]`)}, `[1].id: "m" is already taken`},
			"key as id":        {[]string{"--memberships", file("same.json", `[{"license_key":"K","id":"K"}]`)}, `[0].id: "K" is already taken`},
			"unknown flag":     {[]string{"--nonsense"}, "unknown flag"},
			"stray argument":   {[]string{"stray"}, "unexpected argument"},
			"address taken":    {[]string{"--listen", taken.Addr().String()}, "--listen: "},
			"bad address":      {[]string{"--listen", "nonsense"}, "--listen: "},
			"empty key":        {[]string{"--api-key="}, "--api-key: "},
			"key with space":   {[]string{"--api-key", "a b"}, "--api-key: "},
			"bad origin":       {[]string{"--cors-origin", "http://a.example/"}, "--cors-origin: "},
			"two origins":      {[]string{"--cors-origin", "http://a.example,http://b.example"}, "--cors-origin: "},
			"negative limit":   {[]string{"--rate-limit=-1"}, "--rate-limit"},
			"bad semantics":    {[]string{"--patch-semantics", "mix"}, "--patch-semantics must be one of"},
			"bad permission":   {[]string{"--permissions", "member:write"}, `--permissions: "member:write" is not one of`},
			"bad latency":      {[]string{"--latency", "61s"}, "--latency: "},
			"overflow":         {[]string{"--latency", "1s", "--latency-jitter", "2562047h47m16.854775807s"}, "--latency: "},
			"negative latency": {[]string{"--latency=-1s"}, "--latency: "},
			"no secret":        {[]string{"--webhook-url", "http://127.0.0.1:1"}, "--webhook-url needs --webhook-secret"},
			"empty secret":     {[]string{"--webhook-url", "http://127.0.0.1:1", "--webhook-secret", "whsec_"}, "--webhook-url needs --webhook-secret"},
			"bad secret":       {[]string{"--webhook-url", "http://127.0.0.1:1", "--webhook-secret", "whsec_!"}, "--webhook-secret: "},
			"unknown version":  {[]string{"--api-key-version", "2026-03-01"}, "--api-key-version: "},
			"unknown pin":      {[]string{"--webhook-version", "v1"}, "--webhook-version: "},
			"bad webhook URL":  {[]string{"--webhook-url", "ftp://127.0.0.1", "--webhook-secret", "s"}, "--webhook-url: "},
		} {
			t.Run(name, func(t *testing.T) {
				cmd := exec.Command(program, c.args...)
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				var exit *exec.ExitError
				require.ErrorAs(t, cmd.Run(), &exit)
				assert.Positive(t, exit.ExitCode())
				assert.Contains(t, stderr.String(), c.says)
				assert.Empty(t, stdout.String())
			})
		}
	})

	t.Run("version and help", func(t *testing.T) {
		out, err := exec.Command(program, "--version").Output()
		require.NoError(t, err)
		assert.Equal(t, "whopsim "+version.Version+"\n", string(out))
		help, err := exec.Command(program, "--help").Output()
		require.NoError(t, err)
		readme, err := os.ReadFile("README.md")
		require.NoError(t, err)
		flags := regexp.MustCompile(`--[a-z][a-z0-9-]*`)
		for _, flag := range flags.FindAllString(string(help), -1) {
			if flag != "--help" {
				assert.Contains(t, string(readme), "`"+flag, "each flag is described")
			}
		}
	})
}

func TestPrintedAddressCanBeCalled(t *testing.T) {
	assert.Equal(t, "127.0.0.1:80", printable(&net.TCPAddr{IP: net.IPv4zero, Port: 80}))
	assert.Equal(t, "[::1]:80", printable(&net.TCPAddr{IP: net.IPv6unspecified, Port: 80}))
	assert.Equal(t, "192.0.2.1:80", printable(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}))
}

func TestOnlyTheVersionIsShared(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	const module = "github.com/whop-license/whop-license/"
	var own []string
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, module) {
			own = append(own, strings.TrimPrefix(name, module))
		}
	}
	assert.ElementsMatch(t, []string{"shared/version", "native/whopsim"}, own)
}

// FuzzRequest holds that any request gets an orderly answer, and that none
// without the API key gets a membership.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "/api/v2/memberships/K/validate_license", "application/json", "", "", `{"metadata":{"HWID":"1"}}`, true)
	f.Add("PATCH", "/api/v1/memberships/mem_1", "application/json", "2026-07-20", "i", `{"metadata":{"a":null,"b":{"c":[1.50]}}}`, true)
	f.Add("GET", "/api/v1/memberships/%4B", "", "2025-01-01", "", ``, false)
	f.Add("POST", "/sim/memberships/K", "", "", "", `{"status":"expired","fault":"garbage","fault_times":1}`, false)
	f.Add("POST", "/sim/remake/K", "", "", "", ``, false)
	f.Add("OPTIONS", "*", "", "", "", ``, false)
	f.Add("GET", "/api", "", "", "", ``, true)
	f.Fuzz(func(t *testing.T, method, path, contentType, date, idempotencyKey, body string, withKey bool) {
		// What holds the connection would hold the fuzzer.
		if strings.Contains(body, "latency") || strings.Contains(body, "fault") || strings.Contains(body, "kind") {
			t.Skip()
		}
		r, err := http.NewRequest(method, "http://sim.example", strings.NewReader(body))
		if err != nil {
			t.Skip()
		}
		if u, err := r.URL.Parse(path); err == nil {
			r.URL = u
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Idempotency-Key", idempotencyKey)
		if date != "" {
			r.Header.Set("Api-Version-Date", date)
		}
		if withKey {
			r.Header.Set("Authorization", "Bearer whopsim-api-key")
		}
		sim, err := newSimulator(parseArgs(t))
		require.NoError(t, err)
		list, err := parseMemberships([]byte(full))
		require.NoError(t, err)
		for i := range list {
			require.NoError(t, sim.store.add(&list[i]))
		}
		w := &deadlineRecorder{httptest.NewRecorder()}
		sim.handler().ServeHTTP(w, r)
		require.GreaterOrEqual(t, w.Code, 200)
		require.Less(t, w.Code, 500, "%s", w.Body)
		if w.Body.Len() > 0 {
			require.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), "application/json"), "%s", w.Body)
		}
		if strings.HasPrefix(r.URL.Path, "/api/v") && !withKey {
			require.NotContains(t, w.Body.String(), "license_key")
		}
		for _, m := range sim.store.list {
			require.NotNil(t, m, fmt.Sprint(sim.store.index))
			require.Same(t, m, sim.store.find(m.licenseKey))
			require.Same(t, m, sim.store.find(m.id))
		}
	})
}

// A deadlineRecorder takes the read deadlines that a real connection takes.
type deadlineRecorder struct{ *httptest.ResponseRecorder }

func (deadlineRecorder) SetReadDeadline(time.Time) error { return nil }
