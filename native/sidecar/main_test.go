package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// program is the compiled sidecar.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	// Where there is no go, as in Wine, it has been built before.
	if program = os.Getenv("SIDECAR_PROGRAM"); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sidecar")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, name)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A process is a running sidecar.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File
	stderr bytes.Buffer
	in     *bufio.Reader
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	// The end of this time is no assertion: it turns a hang into a failure.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	p := &process{t: t, cmd: exec.CommandContext(ctx, program, args...)}
	inRead, inWrite, err := os.Pipe()
	require.NoError(t, err)
	outRead, outWrite, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inRead, outWrite, &p.stderr
	require.NoError(t, p.cmd.Start())
	inRead.Close()
	outWrite.Close()
	p.stdin, p.stdout, p.in = inWrite, outRead, bufio.NewReader(outRead)
	t.Cleanup(func() {
		p.stdin.Close()
		p.stdout.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

func frame(message string) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(message))), message...)
}

func (p *process) write(b []byte) {
	p.t.Helper()
	_, err := p.stdin.Write(b)
	require.NoError(p.t, err)
}

// read returns the next message.
func (p *process) read() string {
	p.t.Helper()
	message, err := readFrame(p.in)
	require.NoError(p.t, err, "stderr: %s", &p.stderr)
	return message
}

func readFrame(r io.Reader) (string, error) {
	var size uint32
	if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
		return "", err
	}
	if size > 1<<20 {
		return "", fmt.Errorf("a frame of %d bytes", size)
	}
	message := make([]byte, size)
	_, err := io.ReadFull(r, message)
	return string(message), err
}

// end waits for the process after its input was closed or is no longer read,
// and returns its exit code and all that it wrote that was not read yet.
func (p *process) end() (code int, rest string) {
	p.t.Helper()
	b, err := io.ReadAll(p.in)
	require.NoError(p.t, err)
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode(), string(b)
}

// An answer is a JSON-RPC response, read strictly.
type answered struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func parseAnswer(t testing.TB, message string) answered {
	t.Helper()
	var a answered
	d := json.NewDecoder(bytes.NewReader([]byte(message)))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&a), message)
	assert.Equal(t, "2.0", a.JSONRPC)
	assert.NotEmpty(t, a.ID)
	assert.NotEqual(t, a.Result == nil, a.Error == nil, message)
	return a
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stdout string // "" for nothing at all
		stderr string // "" for nothing at all
	}{
		{"server", nil, 0, "", ""},
		{"chrome", []string{"chrome-extension://offoegjegfabemlkpiapnfdlhpliipni/"}, 0, "", ""},
		{"chrome on windows", []string{"chrome-extension://offoegjegfabemlkpiapnfdlhpliipni/", "--parent-window=123456"}, 0, "", ""},
		{"chrome on windows, switch first", []string{"--parent-window=0", "chrome-extension://offoegjegfabemlkpiapnfdlhpliipni/"}, 0, "", ""},
		{"help", []string{"--help"}, 0, "Usage:", ""},
		{"short help", []string{"-h"}, 0, "Usage:", ""},
		{"version", []string{"--version"}, 0, "whop-license-sidecar 0.", ""},
		{"help of the subcommand", []string{"machine-id", "--help"}, 0, "--app-id A", ""},
		{"unknown", []string{"serve"}, 2, "", `unknown arguments ["serve"]`},
		{"unknown switch", []string{"--verbose"}, 2, "", "unknown arguments"},
		{"window without an origin", []string{"--parent-window=1"}, 2, "", "unknown arguments"},
		{"origin and more", []string{"chrome-extension://a/", "x"}, 2, "", "unknown arguments"},
		{"two origins", []string{"chrome-extension://a/", "chrome-extension://b/"}, 2, "", "unknown arguments"},
		{"help of install-helper", []string{"install-helper", "--help"}, 0, "--extension-id ID", ""},
		{"unknown browser", []string{"install-helper", "--browser", "lynx"}, 2, "", "it must be one of chrome, chromium, edge, brave, firefox"},
		{"no extension id", []string{"helper-status", "--extension-id", "../x"}, 2, "", "is not an extension id"},
		{"stray argument of uninstall-helper", []string{"uninstall-helper", "now"}, 2, "", `unknown arguments ["now"]`},
		{"help and more", []string{"--help", "x"}, 2, "", "unknown arguments"},
		{"empty argument", []string{""}, 2, "", "unknown arguments"},
		{"unknown scheme", []string{"machine-id", "--scheme", "md5"}, 2, "", `unknown scheme "md5": use node-machine-id, python-platform-node or app-scoped`},
		{"empty scheme", []string{"machine-id", "--scheme="}, 2, "", `unknown scheme ""`},
		{"no app id", []string{"machine-id", "--scheme", "app-scoped"}, 2, "", "needs --app-id"},
		{"unknown flag", []string{"machine-id", "--raw"}, 2, "", "machine-id: flag provided but not defined: -raw"},
		{"stray argument", []string{"machine-id", "now"}, 2, "", `unknown arguments ["now"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.args...)
			p.stdin.Close()
			code, out := p.end()
			assert.Equal(t, test.code, code)
			if test.stdout == "" {
				assert.Empty(t, out)
			}
			assert.Contains(t, out, test.stdout)
			if test.stderr == "" {
				assert.Empty(t, p.stderr.String())
			}
			assert.Contains(t, p.stderr.String(), test.stderr)
		})
	}
}
