// Package hosting tests the recipes of web/docs/hosting.md, the Dockerfile, the
// Compose file and Debian's package. What changes a machine runs only on a
// throw-away one: ../machine ./hosting.test
package hosting

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the repository's folder; the tests run in .ci/downloads or below it.
var root = func() string {
	dir, _ := os.Getwd()
	before, _, _ := strings.Cut(dir, "/.ci/downloads")
	return before
}()

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, parts...)...))
	require.NoError(t, err)
	return text
}

// recipe returns the block of the page that is for a file.
func recipe(t *testing.T, file string) string {
	t.Helper()
	block := regexp.MustCompile("(?ms)^```\\w+ \\[" + regexp.QuoteMeta(file) + "\\]\n(.*?)^```$")
	found := block.FindAllSubmatch(read(t, "web/docs/hosting.md"), -1)
	require.Len(t, found, 1, "the page has one block for %s", file)
	return string(found[0][1])
}

// values reads NAME=value lines.
func values(text string) map[string]string {
	all := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(text, -1) {
		all[line[1]] = line[2]
	}
	return all
}

// newSigningKey makes a key for leases.
func newSigningKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signing-key.json")
	require.NoError(t, exec.Command(program("whop-license-gateway"), "keygen", file).Run())
	return file
}

func program(name string) string { return filepath.Join(root, "bin", name) }

// requireSettings checks that a gateway can work with the settings of a recipe,
// and has no doubt about them but for those that are named.
func requireSettings(t *testing.T, env map[string]string, doubts ...string) {
	t.Helper()
	cmd := exec.Command(program("whop-license-gateway"), "--config-check")
	cmd.Env = gatewayEnvironment(t, env)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	require.NoError(t, cmd.Run(), errOut.String())
	for line := range strings.Lines(errOut.String()) {
		known := false
		for _, doubt := range doubts {
			known = known || strings.Contains(line, doubt)
		}
		require.True(t, known, line)
	}
}

// gatewayEnvironment is a recipe's, with secrets that are here.
func gatewayEnvironment(t *testing.T, env map[string]string) []string {
	t.Helper()
	list := []string{"PATH=" + os.Getenv("PATH"), "WHOP_API_KEY=" + apiKey}
	for name, value := range env {
		switch name {
		case "WHOP_API_KEY", "WHOP_API_KEY_FILE", "PORT":
			continue
		case "WHOP_LICENSE_SIGNING_KEY":
			value = newSigningKey(t)
		case "WHOP_LICENSE_REDIS_URL":
			if value == "" {
				value = "redis://redis:6379/0" // it comes from a secret
			}
		case "WHOP_LICENSE_PRODUCT":
			value = product
		}
		list = append(list, name+"="+value)
	}
	return list
}
