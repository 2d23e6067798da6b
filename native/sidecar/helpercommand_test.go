package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/sidecar/internal/helper"
)

const (
	genericID = "offoegjegfabemlkpiapnfdlhpliipni"
	ownID     = "abcdefghijklmnopabcdefghijklmnop"
)

// tempDir returns a folder that is removed if possible: Wine can't remove a
// folder in the way that Go requests.
func tempDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "helper")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// helperOf runs the real program for a separate user, and returns what it
// prints.
func helperOf(t *testing.T, home string, args ...string) (entries []helper.Entry, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program, append(args, "--json")...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=",
		"USERPROFILE="+home, "LOCALAPPDATA="+filepath.Join(home, "Local"), "APPDATA="+filepath.Join(home, "Roaming"))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, _ := cmd.Output()
	if len(out) > 0 {
		require.NoError(t, json.Unmarshal(out, &entries), "%s", out)
	}
	return entries, errs.String(), cmd.ProcessState.ExitCode()
}

// The installed program, started with each browser's arguments, serves only its
// own extension.
func TestInstalledHelper(t *testing.T) {
	home := tempDir(t)
	t.Cleanup(func() { helperOf(t, home, "uninstall-helper") })
	_, stderr, code := helperOf(t, home, "helper-status")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "the helper is not installed in any browser")

	entries, stderr, code := helperOf(t, home, "install-helper", "--browser", "chrome", "--browser=firefox")
	require.Zero(t, code, stderr)
	require.GreaterOrEqual(t, len(entries), 2)
	status, _, code := helperOf(t, home, "helper-status")
	assert.Zero(t, code)
	require.NotEmpty(t, status)

	for _, entry := range entries {
		args := []string{"chrome-extension://" + genericID + "/"}
		if entry.Browser == "firefox" {
			args = []string{entry.Manifest, "helper@whop-license"}
		}
		source := program
		program = entry.Program
		p := start(t, args...)
		program = source
		p.write(frame(askInitialize))
		assert.JSONEq(t, initialized, p.read())

		// A page gets an id for its own origin, and no other.
		p.write(frame(`{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"app-scoped","appId":"web:https://a.example"}}`))
		answer := parseAnswer(t, p.read())
		require.Nil(t, answer.Error)
		for _, params := range []string{`{}`, `{"scheme":"node-machine-id"}`, `{"scheme":"node-machine-id","appId":"web:https://a.example"}`,
			`{"scheme":"python-platform-node"}`, `{"scheme":"app-scoped","appId":"com.example.app"}`} {
			p.write(frame(`{"jsonrpc":"2.0","id":2,"method":"machineId","params":` + params + `}`))
			answer := parseAnswer(t, p.read())
			require.NotNil(t, answer.Error, params)
			assert.Contains(t, answer.Error.Message, "a page gets only an id for its own origin")
		}
		p.stdin.Close()
		code, _ := p.end()
		assert.Zero(t, code)
	}

	entries, _, code = helperOf(t, home, "uninstall-helper")
	assert.Zero(t, code)
	assert.NotEmpty(t, entries)
	_, _, code = helperOf(t, home, "helper-status")
	assert.Equal(t, 1, code)
}

// An extension that the program isn't installed for learns this from the first
// answer.
func TestForeignExtensionIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{"chrome-extension://" + ownID + "/"},
		{"/x/com.whop_license.helper_example_com.json", "helper@example.com"},
	} {
		p := start(t, args...)
		p.write(frame(askInitialize))
		answer := parseAnswer(t, p.read())
		require.NotNil(t, answer.Error)
		assert.Equal(t, codeRefused, answer.Error.Code)
		assert.Contains(t, answer.Error.Message, "may not start this program, but only "+genericID)
		code, rest := p.end()
		assert.Equal(t, 1, code)
		assert.Empty(t, rest)
		assert.Contains(t, p.stderr.String(), "install-helper --extension-id")
	}
}

// A seller's own extension may ask for any scheme.
func TestOwnExtension(t *testing.T) {
	home := tempDir(t)
	own := []string{"--browser", "chrome", "--extension-id", ownID}
	t.Cleanup(func() { helperOf(t, home, append([]string{"uninstall-helper"}, own...)...) })
	entries, stderr, code := helperOf(t, home, append([]string{"install-helper"}, own...)...)
	require.Zero(t, code, stderr)
	source := program
	program = entries[0].Program
	defer func() { program = source }()
	p := start(t, "chrome-extension://"+ownID+"/")
	p.write(frame(askMachineID(1)))
	checkMachineID(t, 1, p.read())
	assert.Contains(t, askRefused(t, "chrome-extension://"+genericID+"/"), "it was installed for chrome-extension://"+ownID+"/")
}

func askRefused(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, args...)
	p.write(frame(askInitialize))
	answer := parseAnswer(t, p.read())
	require.NotNil(t, answer.Error)
	return answer.Error.Message
}

// On Windows, a running program can't be overwritten.
func TestHelperIsReplacedWhileItRuns(t *testing.T) {
	home := tempDir(t)
	t.Cleanup(func() { helperOf(t, home, "uninstall-helper") })
	entries, stderr, code := helperOf(t, home, "install-helper", "--browser", "chrome")
	require.Zero(t, code, stderr)
	source := program
	program = entries[0].Program
	p := start(t, "chrome-extension://"+genericID+"/")
	program = source
	p.write(frame(askInitialize))
	p.read()

	// Another build, as after an update.
	installed, err := os.ReadFile(entries[0].Program)
	require.NoError(t, err)
	other := filepath.Join(tempDir(t), filepath.Base(source))
	require.NoError(t, os.WriteFile(other, append(installed, 0), 0o755))
	program = other
	_, stderr, code = helperOf(t, home, "install-helper", "--browser", "chrome")
	program = source
	require.Zero(t, code, stderr)
	updated, err := os.ReadFile(entries[0].Program)
	require.NoError(t, err)
	assert.Len(t, updated, len(installed)+1)
	p.write(frame(askInitialize))
	assert.JSONEq(t, initialized, p.read(), "the running one goes on")
}

func TestHelperFromAShell(t *testing.T) {
	home := tempDir(t)
	cmd := exec.Command(program, "install-helper", "--browser", "chromium")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "USERPROFILE="+home, "LOCALAPPDATA="+home)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `^installed    Chromium: `, string(out))
	if runtime.GOOS == "windows" {
		cmd := exec.Command(program, "uninstall-helper")
		cmd.Env = append(os.Environ(), "USERPROFILE="+home, "LOCALAPPDATA="+home)
		require.NoError(t, cmd.Run())
	}
}
