//go:build !js

package lease_test

import (
	"crypto"
	"crypto/ed25519"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// The rules are pure and small: nothing here reads a file or a clock, or brings
// the standard library's cryptography into a WebAssembly module.
func TestImports(t *testing.T) {
	list := func(args ...string) []string {
		command := exec.Command("go", append([]string{"list"}, args...)...)
		command.Env = append(command.Environ(), "GOOS=js", "GOARCH=wasm")
		out, err := command.Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	allowed := []string{
		"filippo.io/edwards25519", "github.com/go-json-experiment/json/jsontext",
		"github.com/whop-license/whop-license/shared/jsonobject", "github.com/whop-license/whop-license/shared/lease/internal/sha2",
		"errors", "math/bits", "slices", "strconv", "strings", "unicode/utf8",
	}
	for _, direct := range list("-f", `{{join .Imports "\n"}}`, "./...") {
		assert.True(t, slices.Contains(allowed, direct), "imports %s", direct)
	}
	all := list("-deps", ".")
	require.Contains(t, all, "filippo.io/edwards25519")
	for _, never := range []string{"time", "context", "fmt", "os", "net", "net/http", "encoding/json", "crypto/ed25519", "crypto/sha256", "crypto/internal/fips140"} {
		assert.NotContains(t, all, never)
	}
}

// A lease is an ordinary JWS to an ordinary library.
func TestGoJoseVerifies(t *testing.T) {
	public := signer1.private.Public().(ed25519.PublicKey)
	jws, err := jose.ParseSignedCompact(signer1.lease(claims()), []jose.SignatureAlgorithm{jose.EdDSA})
	require.NoError(t, err)
	got, err := jws.Verify(public)
	require.NoError(t, err)
	assert.Equal(t, payload(claims()), string(got))
	assert.Equal(t, signer1.kid(), jws.Signatures[0].Header.KeyID)

	thumbprint, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	assert.Equal(t, b64(thumbprint), lease.KeyID([32]byte(public)))
}
