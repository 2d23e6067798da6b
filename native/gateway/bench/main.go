// Command bench holds the gateway to its budgets: requests per second against a
// plain Node proxy that makes the same calls to Whop, memory, and connections
// held. It prints a table and exits with 1 where a budget is missed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
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
)

func main() {
	period := flag.Duration("period", 3*time.Second, "how long each load lasts")
	flag.Parse()
	missed, err := bench(*period)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if missed {
		os.Exit(1)
	}
}

func key(n int) string { return fmt.Sprintf("BENCH-%06d-%06d", n%licenses, n%licenses*7) }

// request is a validation of a licence that is bound to the machine that asks.
func request(n int) []byte {
	body := fmt.Sprintf(`{"metadata":{"HWID":"%064d"}}`, n%licenses)
	return fmt.Appendf(nil, "POST /api/v2/memberships/%s/validate_license HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key(n), len(body), body)
}

func memberships(path string) error {
	var all []map[string]any
	for n := range licenses {
		all = append(all, map[string]any{
			"license_key": key(n), "product": "prod_bench", "status": "active",
			"metadata": map[string]string{"HWID": fmt.Sprintf("%064d", n)},
		})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

func bench(period time.Duration) (missed bool, err error) {
	dir, err := os.MkdirTemp("", "gateway-bench")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "memberships.json")
	if err := memberships(file); err != nil {
		return false, err
	}
	for _, name := range []string{"gateway", "whopsim"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), "github.com/whop-license/whop-license/native/"+name)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return false, err
		}
	}
	sim, err := start(nil, filepath.Join(dir, "whopsim"), "--api-key", apiKey, "--memberships", file, "--rate-limit-v1", "0")
	if err != nil {
		return false, err
	}
	defer sim.stop()
	gw := func(args ...string) (*program, error) {
		return start([]string{"WHOP_API_KEY=" + apiKey}, filepath.Join(dir, "gateway"), append([]string{
			"--listen", "127.0.0.1:0", "--upstream-url", sim.url, "--product", "prod_bench",
			"--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0"}, args...)...)
	}
	for _, calls := range []string{"1", "2"} {
		proxy, err := start(nil, "node", "native/gateway/bench/proxy.js", sim.url+"/api/v1", apiKey, calls)
		if err != nil {
			return false, err
		}
		l, err := drive(proxy.addr(), connections, period, request)
		fmt.Println("node", calls, l, err, proxy.cpu())
		proxy.stop()
	}
	for _, ttl := range []string{"0", "5m"} {
		g, err := gw("--cache-ttl", ttl)
		if err != nil {
			return false, err
		}
		c0 := sim.cpu()
		l, err := drive(g.addr(), connections, period, request)
		fmt.Println("gateway", ttl, l, err, g.cpu(), sim.cpu()-c0)
		g.stop()
	}
	return false, nil
}

// program is a server that was started; its first line of output is its URL.
type program struct {
	cmd *exec.Cmd
	url string
}

func start(env []string, name string, args ...string) (*program, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
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
		return nil, fmt.Errorf("%s did not start: %w", name, err)
	}
	return &program{cmd, strings.TrimSpace(line)}, nil
}

func (p *program) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

func (p *program) addr() string { return strings.TrimPrefix(p.url, "http://") }

func (p *program) cpu() time.Duration {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	u, _ := strconv.Atoi(f[11])
	s, _ := strconv.Atoi(f[12])
	return time.Duration(u+s) * 10 * time.Millisecond
}

var _ = net.Dial
