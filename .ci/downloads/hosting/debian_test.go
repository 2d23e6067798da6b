package hosting

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// debian is the package that `make test-downloads` has made for this machine.
func debian(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, ".ci/downloads/built/whop-license-gateway_*_"+runtime.GOARCH+".deb"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

func TestDebianLintian(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		file := strings.ReplaceAll(debian(t), "_"+runtime.GOARCH+".deb", "_"+arch+".deb")
		out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", file).CombinedOutput()
		assert.NoError(t, err, string(out))
	}
}

const (
	settingsFile = "/etc/whop-license-gateway/settings"
	unitFile     = "/usr/lib/systemd/system/whop-license-gateway.service"
	enabled      = "/etc/systemd/system/multi-user.target.wants/whop-license-gateway.service"
)

// The package's life, from an older version's installation to the purge. There is
// no systemd on the throw-away machine, so one that writes down what it is asked
// stands for it.
func TestDebianPackage(t *testing.T) {
	onMachine(t)
	asked := standInForSystemd(t)
	output(t, "dpkg", "--install", older(t, debian(t)))
	assert.FileExists(t, enabled)
	assert.Empty(t, output(t, "dpkg-query", "--show", "--showformat=${Conffiles}", "whop-license-gateway"), "an update would ask about files that every seller changes")
	info, err := os.Stat(settingsFile)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode(), "the address of Redis can have a password")
	assert.NotContains(t, asked(), "start whop-license-gateway.service", "there is nothing to start with yet")
	output(t, "systemd-analyze", "verify", unitFile)
	unit, err := os.ReadFile(unitFile)
	require.NoError(t, err)
	assert.Contains(t, string(unit), "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n", "init may choose port 443")

	line := regexp.MustCompile(`(?m)^sudo (whop-license-gateway init .*--behind-proxy.*)$`).FindSubmatch(read(t, "web/docs/hosting.md"))
	require.NotNil(t, line, "the page says how to set the gateway up")
	set := exec.Command("sh", "-c", strings.ReplaceAll(string(line[1]), "prod_…", product))
	set.Env = append(os.Environ(), "WHOP_API_KEY="+apiKey)
	out, err := set.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "  systemctl restart whop-license-gateway\n")
	assert.NoFileExists(t, "/etc/whop-license-gateway/whop-license-gateway.service", "the package has the unit")
	runAsUnit(t)

	before, err := os.ReadFile(settingsFile)
	require.NoError(t, err)
	output(t, "dpkg", "--install", debian(t))
	after, err := os.ReadFile(settingsFile)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "an update keeps the settings")
	assert.Contains(t, asked(), "restart whop-license-gateway.service")

	output(t, "dpkg", "--remove", "whop-license-gateway")
	assert.Contains(t, asked(), "stop whop-license-gateway.service")
	assert.NoFileExists(t, "/usr/bin/whop-license-gateway")
	assert.FileExists(t, settingsFile)

	write(t, "/var/lib/private/whop-license-gateway/audit", "{}\n")
	write(t, "/var/lib/whop-license-gateway/acme/by-hand", "")
	said := output(t, "dpkg", "--purge", "whop-license-gateway")
	assert.Contains(t, said, "/etc/whop-license-gateway/signing-key.json was kept.")
	assert.NoFileExists(t, settingsFile)
	assert.NoFileExists(t, enabled)
	assert.NoDirExists(t, "/var/lib/private/whop-license-gateway")
	assert.NoDirExists(t, "/var/lib/whop-license-gateway")
	assert.FileExists(t, "/etc/whop-license-gateway/signing-key.json")
	assert.FileExists(t, "/etc/whop-license-gateway/api-key")
}

// standInForSystemd replaces systemctl, and returns what it was asked so far. What
// needs no running systemd is left to the real one.
func standInForSystemd(t *testing.T) (asked func() string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "asked")
	_ = os.Remove("/usr/sbin/policy-rc.d") // containers have one that forbids everything
	require.NoError(t, os.MkdirAll("/run/systemd/system", 0o755))
	require.NoError(t, os.Rename("/usr/bin/systemctl", "/usr/bin/systemctl.real"))
	write(t, "/usr/bin/systemctl", `#!/bin/sh
echo "$*" >>`+log+`
case " $* " in *" preset "*) SYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@" ;; esac
`)
	require.NoError(t, os.Chmod("/usr/bin/systemctl", 0o755))
	return func() string {
		text, _ := os.ReadFile(log)
		return string(text)
	}
}

// older makes the package of an older version out of another.
func older(t *testing.T, file string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "package")
	output(t, "dpkg-deb", "--raw-extract", file, folder)
	control := filepath.Join(folder, "DEBIAN/control")
	text, err := os.ReadFile(control)
	require.NoError(t, err)
	write(t, control, regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAllString(string(text), "Version: 0.0.1"))
	result := filepath.Join(t.TempDir(), "older.deb")
	output(t, "dpkg-deb", "--build", "-Znone", folder, result)
	return result
}

// runAsUnit starts what the installed unit starts, with its credentials, as a
// user without rights.
func runAsUnit(t *testing.T) {
	t.Helper()
	unit, err := os.ReadFile(unitFile)
	require.NoError(t, err)
	credentials := t.TempDir()
	for dir := credentials; dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	for _, found := range regexp.MustCompile(`(?m)^LoadCredential=(.+):(.+)$`).FindAllSubmatch(unit, -1) {
		secret, err := os.ReadFile(string(found[2]))
		require.NoError(t, err)
		file := filepath.Join(credentials, string(found[1]))
		require.NoError(t, os.WriteFile(file, secret, 0o400))
		require.NoError(t, os.Chown(file, 65534, 65534))
	}
	settings, err := os.ReadFile(settingsFile)
	require.NoError(t, err)
	env := []string{}
	for name, value := range values(string(settings)) {
		env = append(env, name+"="+value)
	}
	for _, found := range regexp.MustCompile(`(?m)^Environment=(.+)$`).FindAllSubmatch(unit, -1) {
		env = append(env, strings.ReplaceAll(string(found[1]), "%d", credentials))
	}
	line := regexp.MustCompile(`(?m)^ExecStart=(.+)$`).FindSubmatch(unit)
	require.NotNil(t, line)
	args := strings.Fields(string(line[1]))
	gateway := exec.Command(args[0], append(args[1:], "--upstream-url="+startSimulator(t), "--listen=127.0.0.1:0")...)
	gateway.Env = env
	gateway.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	url := startWithURL(t, gateway)
	status := front{url, strings.TrimPrefix(url, "http://")}.ask(t, "127.0.0.1", "", "KEY-0")
	assert.Equal(t, 201, status, fmt.Sprint("the installed gateway answers at ", url))
}
