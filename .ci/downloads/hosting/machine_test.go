package hosting

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the simulator of Whop knows.
const (
	apiKey  = "an-api-key-of-the-tests"
	product = "prod_AbCdEf123"
	domain  = "license.example.com"
)

// onMachine skips a test that changes the machine, unless it is a throw-away one.
func onMachine(t *testing.T) {
	t.Helper()
	if os.Getenv("THROW_AWAY_MACHINE") == "" {
		t.Skip("this changes the machine: make test-downloads runs it on a throw-away one")
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
}

// output runs a program to its end.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return string(out)
}

// start starts a program that goes on until the test's end.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	log := &strings.Builder{}
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		// nginx that is killed leaves workers behind, which go on listening for a while.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), log)
		}
	})
}

// startWithURL starts a program whose first line of output is its URL.
func startWithURL(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	start(t, cmd)
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err, "%s has ended", cmd.Path)
	return strings.TrimSpace(url)
}

// startSimulator starts a Whop that knows license keys KEY-0 to KEY-19.
func startSimulator(t *testing.T) string {
	t.Helper()
	var memberships []map[string]string
	for n := range 20 {
		memberships = append(memberships, map[string]string{"license_key": fmt.Sprintf("KEY-%d", n), "product": product})
	}
	text, err := json.Marshal(memberships)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "memberships.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return startWithURL(t, exec.Command(program("whopsim"), "--api-key="+apiKey, "--memberships="+file))
}

// startGateway starts a gateway with a recipe's settings, in which a customer may
// cause one look-up a minute.
func startGateway(t *testing.T, whop string, env map[string]string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program("whop-license-gateway"), append([]string{"--client-limit=1", "--drain=0", "--upstream-url=" + whop}, args...)...)
	cmd.Env = gatewayEnvironment(t, env)
	return startWithURL(t, cmd)
}

// front is what customers connect to: its URL names the domain.
type front struct{ url, address string }

// ask asks about a license key from an address of this machine's, with what the
// customer claims to be forwarded from, and returns the status.
func (f front) ask(t *testing.T, from, forwarded, key string) int {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the certificate is the test's own
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, f.address)
		},
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/api/v2/memberships/"+key+"/validate_license", strings.NewReader(`{"metadata":{"HWID":"m1"}}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if forwarded != "" {
		req.Header.Set("X-Forwarded-For", forwarded)
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// answers waits until something answers there.
func (f front) answers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", f.address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 20*time.Second, 20*time.Millisecond)
}

// requireToldApart checks that two customers are counted apart, each by the
// address that they have, whatever they claim. The last hops are what further
// proxies would have appended.
func (f front) requireToldApart(t *testing.T, one, two string, asked func(customer, claimed string) (from, forwarded string)) {
	t.Helper()
	ask := func(customer, claimed, key string) int {
		from, forwarded := asked(customer, claimed)
		return f.ask(t, from, forwarded, key)
	}
	require.Equal(t, http.StatusCreated, ask(one, "", "KEY-0"), "a customer's first look-up")
	require.Equal(t, http.StatusTooManyRequests, ask(one, "", "KEY-1"), "the same customer's second one")
	require.Equal(t, http.StatusTooManyRequests, ask(one, "203.0.113.77", "KEY-2"), "who claims to be another")
	require.Equal(t, http.StatusTooManyRequests, ask(one, "127.0.0.1, 203.0.113.78", "KEY-3"), "who claims to be a proxy")
	require.Equal(t, http.StatusCreated, ask(two, one, "KEY-4"), "another customer, who claims to be the first")
	require.Equal(t, http.StatusTooManyRequests, ask(two, "", "KEY-5"), "the other customer's second one")
}

// direct is for customers who connect to the front themselves.
func direct(customer, claimed string) (from, forwarded string) { return customer, claimed }
