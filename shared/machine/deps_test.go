//go:build !js

package machine_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The rules are pure: nothing here reads a file, starts a program or pulls
// reflection into a WebAssembly module.
func TestImports(t *testing.T) {
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	allowed := []string{"bytes", "crypto/hmac", "crypto/sha256", "strings", "unicode", "unicode/utf8"}
	for _, direct := range list("-f", `{{join .Imports "\n"}}`, ".") {
		assert.True(t, slices.Contains(allowed, direct), "imports %s", direct)
	}
	all := list("-deps", ".")
	require.Contains(t, all, "crypto/sha256")
	for _, never := range []string{"fmt", "reflect", "net", "net/http", "encoding/json", "context", "os/exec"} {
		assert.NotContains(t, all, never)
	}
}
