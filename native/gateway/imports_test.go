package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// directions lists which of the gateway's packages each of them may import.
// Only the main program imports all of them.
var directions = map[string][]string{
	"acme":    {},
	"api":     {"binding", "check", "conns", "logtext", "network"},
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

const (
	ourself  = "github.com/whop-license/whop-license/native/gateway"
	packages = ourself + "/internal/"
)

// listed is a package as `go list` describes it.
type listed struct {
	ImportPath    string
	Imports, Deps []string
}

// list describes the program and its packages, by path.
var list = sync.OnceValues(func() (map[string]listed, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", ".", "./internal/...").Output()
	if err != nil {
		return nil, err
	}
	all := map[string]listed{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[p.ImportPath] = p
	}
})

func TestImportDirection(t *testing.T) {
	t.Parallel()
	all, err := list()
	require.NoError(t, err)
	require.Len(t, all, len(directions)+1)
	for path, p := range all {
		if path == ourself {
			assert.NotContains(t, p.Deps, packages+"gatewaytest")
			continue
		}
		name := strings.TrimPrefix(path, packages)
		allowed, ok := directions[name]
		require.True(t, ok, "what may %s import?", name)
		for _, imported := range p.Imports {
			if other, ours := strings.CutPrefix(imported, packages); ours {
				assert.Contains(t, allowed, other, "%s must not import %s", name, other)
			}
		}
	}
	assert.Contains(t, all, ourself)
}

// Package check can be used in other programs: none of its dependencies, direct or not, is about HTTP, Redis or flags.
func TestCheckDependsOnNoHTTPRedisOrFlags(t *testing.T) {
	all, err := list()
	require.NoError(t, err)
	for _, name := range []string{"check", "binding"} {
		require.NotEmpty(t, all[packages+name].Deps)
		for _, dependency := range all[packages+name].Deps {
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
