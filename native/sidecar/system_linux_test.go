package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/denisbrodbeck/machineid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
)

func askProgram(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, append([]string{"machine-id"}, args...)...).Output()
	require.NoError(t, err)
	return strings.TrimSuffix(string(out), "\n")
}

// The command line of node-machine-id on this machine's own files.
func TestEqualsNodeMachineIDHere(t *testing.T) {
	out, err := exec.Command("sh", "-c", "( cat /var/lib/dbus/machine-id /etc/machine-id 2> /dev/null || hostname ) | head -n 1 || :").Output()
	require.NoError(t, err)
	raw := strings.ToLower(strings.Join(strings.Fields(string(out)), ""))
	if raw == "" {
		t.Skip("this machine has neither a machine id nor the command hostname")
	}
	sum := sha256.Sum256([]byte(raw))
	assert.Equal(t, hex.EncodeToString(sum[:]), askProgram(t))
}

func TestEqualsMachineIDHere(t *testing.T) {
	want, err := machineid.ProtectedID("com.example.app")
	if key, _ := machineid.ID(); err != nil || key == "" {
		t.Skip("this machine has no machine id")
	}
	assert.Equal(t, want, askProgram(t, "--scheme", "app-scoped", "--app-id", "com.example.app"))
}

func TestEqualsPythonHere(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3")
	}
	out, err := exec.Command("python3", "-c",
		"import hashlib, platform; print(hashlib.sha256(platform.node().encode()).hexdigest(), end='')").Output()
	require.NoError(t, err)
	assert.Equal(t, string(out), askProgram(t, "--scheme", "python-platform-node"))
}

// put creates a file under a root: content is a string, or the mode of
// something other than a regular file.
func put(t *testing.T, root, path string, content any) {
	t.Helper()
	path = filepath.Join(root, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	switch content := content.(type) {
	case nil:
	case string:
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	case os.FileMode:
		if content == os.ModeNamedPipe {
			require.NoError(t, syscall.Mkfifo(path, 0o644))
		} else {
			require.NoError(t, os.Mkdir(path, 0o755))
		}
	}
}

func TestCapture(t *testing.T) {
	const id = "3d1219c7c4c5404aaa1f6d2a48adfda4\n"
	long := strings.Repeat("x", machine.MaxReading+10)
	noSuchFile := machine.Reading{Err: "no such file or directory"}
	for _, test := range []struct {
		name     string
		content  any
		captured machine.Reading
	}{
		{"file", id, machine.Reading{Bytes: []byte(id)}},
		{"empty", "", machine.Reading{Bytes: []byte{}}},
		{"missing", nil, noSuchFile},
		{"folder", os.ModeDir, machine.Reading{Bytes: []byte{}, Err: "is a directory"}},
		{"pipe that nobody writes to", os.ModeNamedPipe, machine.Reading{Err: "a pipe, not a file"}},
		{"long", long, machine.Reading{Bytes: []byte(long[:machine.MaxReading+1])}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			put(t, root, "var/lib/dbus/machine-id", test.content)
			c := (&system{root: root}).capture(machine.AppScoped)
			assert.Equal(t, machine.Captured{OS: "linux", DBus: test.captured, Etc: noSuchFile}, c)

			root = t.TempDir()
			put(t, root, "etc/machine-id", test.content)
			c = (&system{root: root}).capture(machine.NodeMachineID)
			assert.Equal(t, machine.Captured{OS: "linux", DBus: noSuchFile, Etc: test.captured, HostName: hostName()}, c)
		})
	}

	host, err := os.Hostname()
	require.NoError(t, err)
	c := (&system{root: t.TempDir()}).capture(machine.PythonPlatformNode)
	assert.Equal(t, machine.Captured{OS: "linux", HostName: machine.Reading{Bytes: []byte(host)}}, c)
}

// The real process on a machine whose entire file system is a folder.
func TestOtherRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("chroot is for root")
	}
	host, err := os.Hostname()
	require.NoError(t, err)
	binary, err := os.ReadFile(program)
	require.NoError(t, err)
	ask := func(t *testing.T, dbus, etc any, args ...string) (stdout, stderr string, code int) {
		root := t.TempDir()
		put(t, root, "var/lib/dbus/machine-id", dbus)
		put(t, root, "etc/machine-id", etc)
		require.NoError(t, os.WriteFile(filepath.Join(root, "sidecar"), binary, 0o755))
		var out, errs bytes.Buffer
		cmd := exec.Command("/sidecar", append([]string{"machine-id"}, args...)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = "/", &out, &errs
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	hash := func(raw string) string {
		sum := sha256.Sum256([]byte(raw))
		return hex.EncodeToString(sum[:])
	}

	for _, test := range []struct {
		name       string
		dbus, etc  any
		raw        string
		source     machine.Source
		noWarnings bool
	}{
		{"both", "AAA\n", "bbb\n", "aaa", "dbus", true},
		{"no newline", "aaa", "bbb\n", "aaabbb", "dbus", true},
		{"etc", nil, "bbb\n", "bbb", "etc", true},
		{"empty dbus", "", "bbb\n", "bbb", "etc", true},
		{"folder and etc", os.ModeDir, "bbb", "bbb" + strings.ToLower(host), "etc", false},
		{"pipe", os.ModeNamedPipe, "bbb\n", "bbb", "etc", true},
		{"none", nil, nil, strings.ToLower(host), "hostname", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := ask(t, test.dbus, test.etc, "--json")
			require.Zero(t, code, stderr)
			var id machine.ID
			require.NoError(t, json.Unmarshal([]byte(stdout), &id))
			assert.Equal(t, hash(test.raw), id.ID)
			assert.Equal(t, test.source, id.Source)
			assert.Equal(t, test.noWarnings, len(id.Warnings) == 0, "%q", id.Warnings)
		})
	}

	t.Run("no id", func(t *testing.T) {
		for _, test := range [][]string{nil, {"--scheme", "app-scoped", "--app-id", "x"}} {
			stdout, stderr, code := ask(t, "\n", "", test...)
			assert.Equal(t, 1, code)
			assert.Empty(t, stdout)
			assert.Contains(t, stderr, "whop-license-sidecar: this machine has no id (/var/lib/dbus/machine-id: no id in it")
		}
	})
	t.Run("no id for the app", func(t *testing.T) {
		stdout, stderr, code := ask(t, nil, os.ModeDir, "--scheme", "app-scoped", "--app-id", "x")
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, fmt.Sprint("/etc/machine-id: ", syscall.EISDIR))
	})
}
