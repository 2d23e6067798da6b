//go:build linux

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	apiKey      = "bench-api-key"
	licenses    = 4000
	connections = 32
	module      = "github.com/whop-license/whop-license/native/"
)

//go:embed proxy.cjs
var proxySource []byte

func key(n int) string  { return fmt.Sprintf("BENCH-%06d-%06d", n, n*7) }
func hwid(n int) string { return fmt.Sprintf("%064d", n) }

// requests are validations of licenses by the machines that they are bound to.
var requests = func() (all [][]byte) {
	for n := range licenses {
		body := fmt.Sprintf(`{"metadata":{"HWID":"%s"}}`, hwid(n))
		all = append(all, fmt.Appendf(nil, "POST /api/v2/memberships/%s/validate_license HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key(n), len(body), body))
	}
	return all
}()

func request(n int) []byte { return requests[n%licenses] }

func (b *bench) build() (err error) {
	if b.dir, err = os.MkdirTemp("", "gateway-bench"); err != nil {
		return err
	}
	for _, name := range []string{"gateway", "whopsim"} {
		build := exec.Command("go", "build", "-o", filepath.Join(b.dir, name), module+name)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building %s: %w", name, err)
		}
	}
	var memberships []map[string]any
	for n := range licenses {
		memberships = append(memberships, map[string]any{"license_key": key(n), "product": "prod_bench", "metadata": map[string]string{"HWID": hwid(n)}})
	}
	text, err := json.Marshal(memberships)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "memberships.json"), text, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "proxy.cjs"), proxySource, 0o600)
}

func (b *bench) cleanUp() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

func (b *bench) startSimulator() (*program, error) {
	return start(nil, filepath.Join(b.dir, "whopsim"), "--api-key", apiKey, "--memberships", filepath.Join(b.dir, "memberships.json"), "--rate-limit-v1", "0")
}

func (b *bench) startProxy(whop, calls string) (*program, error) {
	return start(nil, "node", filepath.Join(b.dir, "proxy.cjs"), whop+"/api/v1", apiKey, calls)
}

func (b *bench) startGateway(whop string, args ...string) (*program, error) {
	return start([]string{"WHOP_API_KEY=" + apiKey}, filepath.Join(b.dir, "gateway"), append([]string{
		"--listen", "127.0.0.1:0", "--upstream-url", whop, "--product", "prod_bench",
		"--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0"}, args...)...)
}

// program is a server that was started. Its first line of output is its URL.
type program struct {
	cmd *exec.Cmd
	url string

	perSecond float64 // the best that it did
	p99       float64 // ms
	cpuEach   float64 // µs of CPU time a request
}

func start(env []string, name string, args ...string) (*program, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("%s did not start: %s", filepath.Base(name), errOut.String())
	}
	return &program{cmd: cmd, url: strings.TrimSpace(line)}, nil
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *program) addr() string {
	_, addr, _ := strings.Cut(p.url, "://")
	return addr
}

// onCores is how many requests a second so many cores would do, if they did
// nothing else.
func (p *program) onCores(n float64) float64 { return n * 1e6 / p.cpuEach }

// cpu is the time that the program has computed, where /proc tells.
func (p *program) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, after, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if err != nil || !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory and peakMemory are in MB, where /proc tells.
func (p *program) memory() float64     { return p.status("VmRSS:") }
func (p *program) peakMemory() float64 { return p.status("VmHWM:") }

func (p *program) status(name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			kb, _ := strconv.ParseFloat(fields[1], 64)
			return kb / 1024
		}
	}
	return 0
}
