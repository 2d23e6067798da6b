//go:build !js

package license

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestImports holds the list of what is compiled into every customer's
// download: each of the refused packages costs tens of kilobytes.
func TestImports(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "../../wasm")
	list.Env = append(list.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	out, err := list.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, dependency := range strings.Fields(string(out)) {
		switch dependency {
		case "context", "encoding/json", "fmt", "net", "net/http", "net/url", "os", "regexp", "sort", "time":
			assert.Fail(t, "the module must not depend on "+dependency)
		}
	}
}
