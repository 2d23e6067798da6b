package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// directions are which of the gateway's packages each of them may import. The
// main program alone knows them all.
var directions = map[string][]string{
	"acme":    {},
	"api":     {"binding", "check", "logtext"},
	"binding": {"logtext"},
	"check":   {"binding", "logtext", "network", "tag"},
	"cluster": {"check", "tag"},
	"conns":   {"network"},
	"logtext": {},
	"network": {},
	"notice":  {"tag"},
	"tag":     {},
	"whop":    {"binding", "check", "logtext", "tag"},

	"gatewaytest": {}, // and no program imports it
}

const packages = "github.com/whop-license/whop-license/native/gateway/internal/"

// list returns what `go list` says, in words.
func list(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return strings.Fields(string(out))
}

func TestImportDirection(t *testing.T) {
	all := list(t, "-f", "{{.ImportPath}}", "./internal/...")
	require.Len(t, all, len(directions))
	for _, path := range all {
		name := strings.TrimPrefix(path, packages)
		allowed, ok := directions[name]
		require.True(t, ok, "what may %s import?", name)
		for _, imported := range list(t, "-f", `{{join .Imports " "}}`, path) {
			if other, ours := strings.CutPrefix(imported, packages); ours {
				assert.Contains(t, allowed, other, "%s must not import %s", name, other)
			}
		}
	}
	assert.NotContains(t, list(t, "-deps", "."), packages+"gatewaytest")
}

// The decision could run on another host than this server: whatever it is
// compiled with, directly or not, is free of HTTP, Redis and flags.
func TestTheDecisionKnowsNoHost(t *testing.T) {
	for _, name := range []string{"check", "binding"} {
		for _, dependency := range list(t, "-deps", packages+name) {
			switch dependency {
			case "net", "net/http", "os/exec", "os/signal", "flag", "crypto/tls":
				assert.Fail(t, name+" must not depend on "+dependency)
			}
			for _, prefix := range []string{"github.com/valyala/", "github.com/redis/", "github.com/bsm/", "github.com/go-redis/", "github.com/alecthomas/", "github.com/prometheus/", "github.com/rs/cors"} {
				assert.False(t, strings.HasPrefix(dependency, prefix), "%s must not depend on %s", name, dependency)
			}
		}
	}
}
