//go:build unix

package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// After SIGTERM, a gateway is not ready but still answers. SIGHUP does not end
// it; a second SIGTERM does.
func TestDrain(t *testing.T) {
	t.Parallel()
	key := testKey("late")
	g, process := startGatewayProcess(t, startSim(t, []fields{licensed(key)}), "--drain", "1m")
	require.NoError(t, process.Signal(syscall.SIGHUP))
	require.Equal(t, 200, g.get("/readyz").status)
	require.NoError(t, process.Signal(syscall.SIGTERM))
	eventually(t, "it is not ready", func() bool { return g.get("/readyz").status == 503 })
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	answered, err := io.ReadAll(g.connect("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")) // until it is closed
	require.NoError(t, err)
	assert.Contains(t, string(answered), "200 OK")
	assert.Equal(t, -1, g.stop(), "ended by the signal")
}

func TestHangupReloadsTheCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir, "first")
	g, process := startGatewayProcess(t, startSim(t, nil), "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	writeCertificate(t, dir, "second")
	require.NoError(t, process.Signal(syscall.SIGHUP))
	eventually(t, "it is read", func() bool { return g.logged("reloaded the certificate files") })
	assert.Equal(t, "second", certificateName(t, g.url))
}

// askers check a license in a loop, each on its own connection or on a pooled
// one, and count the checks that get no yes within a number of attempts. Between
// attempts they wait as long as apps do on average.
type askers struct {
	asked, lost atomic.Int64
	stop        func()
}

func ask(url func() string, key string, attempts int) *askers {
	a, stopped := &askers{}, make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for next := time.Tick(10 * time.Millisecond); ; {
				select {
				case <-stopped:
					return
				case <-next:
				}
				a.asked.Add(1)
				good := isGood(url(), key)
				for n := 1; !good && n < attempts; n++ {
					time.Sleep(150 * time.Millisecond << (n - 1))
					good = isGood(url(), key)
				}
				if !good {
					a.lost.Add(1)
				}
			}
		})
	}
	a.stop = sync.OnceFunc(func() { close(stopped); wg.Wait() })
	return a
}

func isGood(url, key string) bool {
	resp, err := http.Post(url+validatePath(key), "application/json", strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusCreated
}

func isReady(url string) bool {
	resp, err := http.Get(url + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// A load balancer that checks /readyz loses no request when a gateway stops.
func TestStoppingBehindABalancerLosesNothing(t *testing.T) {
	t.Parallel()
	key := testKey("steady")
	sim := startSim(t, []fields{boundTo(key, 1)})
	first, _ := startGatewayProcess(t, sim, "--drain", "3s")
	second, _ := startGatewayProcess(t, sim)
	to := atomic.Pointer[string]{}
	to.Store(&first.url)
	a := ask(func() string { return *to.Load() }, key, 1)
	defer a.stop()
	go func() {
		looks := time.Tick(50 * time.Millisecond)
		for isReady(first.url) {
			<-looks
		}
		to.Store(&second.url)
	}()
	assert.Equal(t, 0, first.stop())
	a.stop()
	assert.Zero(t, a.lost.Load(), "of %d", a.asked.Load())
	assert.Positive(t, a.asked.Load())
}

// Three gateways behind nginx, set up as deploying.md says, are restarted one
// after the other.
func TestRollingRestartLosesNothing(t *testing.T) {
	t.Parallel()
	key := testKey("rolling")
	sim, r := startSim(t, []fields{boundTo(key, 1)}), gatewaytest.StartRedis(t)
	addrs := []string{gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t), gatewaytest.FreeAddress(t)}
	start := func(addr string) *gw {
		g, _ := startGatewayProcess(t, sim, "--listen", addr, "--redis-url", r.URL(), "--trusted-proxies", "127.0.0.1", "--drain", "300ms")
		eventually(t, "it is ready", func() bool { return g.get("/readyz").status == 200 })
		return g
	}
	gateways := make([]*gw, len(addrs))
	for i, addr := range addrs {
		gateways[i] = start(addr)
	}
	front := startNginx(t, addrs)
	a := ask(func() string { return front }, key, 1)
	defer a.stop()
	for i, g := range gateways {
		assert.Equal(t, 0, g.stop())
		before := a.asked.Load()
		eventually(t, "others are asked", func() bool { return a.asked.Load() > before+20 })
		start(addrs[i])
	}
	a.stop()
	assert.Zero(t, a.lost.Load(), "of %d", a.asked.Load())
}

// startNginx runs nginx as deploying.md shows it, in front of gateways.
func startNginx(t *testing.T, gateways []string) (url string) {
	program, err := exec.LookPath("nginx")
	require.NoError(t, err, "nginx is needed: make proxies")
	page, err := os.ReadFile("../../web/docs/deploying.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(page), "```nginx\n")
	require.True(t, found)
	text, _, _ := strings.Cut(after, "```")
	front, dir := gatewaytest.FreeAddress(t), t.TempDir()
	for i, addr := range gateways {
		shown := "server 10.0.0." + string(rune('1'+i)) + ":8080"
		require.Contains(t, text, shown)
		text = strings.ReplaceAll(text, shown, "server "+addr)
	}
	require.Contains(t, text, "listen 443 ssl;")
	text = strings.ReplaceAll(text, "listen 443 ssl;", "listen "+front+";")
	head := "daemon off; master_process off; pid nginx.pid; error_log stderr crit; events {} http { access_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		head += kind + "_temp_path " + kind + ";\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(head+text+"}\n"), 0o600))
	cmd := exec.Command(program, "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	logs := &gatewaytest.Buffer{}
	cmd.Stderr = logs
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "nginx answers: "+logs.String(), func() bool {
		resp, err := http.Get("http://" + front + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	return "http://" + front
}
