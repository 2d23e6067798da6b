package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

const testNonce = "AAECAwQFBgcICQoLDA0ODw"

// newKeyFile makes a signing key as an operator does, and returns its file and
// the public key that apps are built with.
func newKeyFile(t *testing.T) (file string, public lease.PublicKey) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key.json")
	code, out, errOut := tryRun("keygen", file)
	require.Zero(t, code, errOut)
	words := strings.Fields(out)
	require.Len(t, words, 5, out) // public key X kid K
	public, err := lease.ParsePublicKey(words[2])
	require.NoError(t, err)
	require.Equal(t, words[4], public.ID())
	return file, public
}

func tryRun(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(context.Background(), args, func(string) string { return "" }, &o, &e)
	return code, o.String(), e.String()
}

func askForLease(t *testing.T, g *gw, key, body string) string {
	t.Helper()
	a := g.post(validatePath(key), body)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	var answer struct{ Lease string }
	require.NoError(t, json.Unmarshal([]byte(a.body), &answer))
	return answer.Lease
}

func expected(key string, metadata map[string]string) lease.Expect {
	return lease.Expect{LicenseKeyHash: lease.HashLicenseKey(key), MetadataHash: lease.HashMetadata(metadata)}
}

func TestLeaseAnswersThisRequest(t *testing.T) {
	key := testKey("lease")
	sim := startSim(t, []fields{licensed(key, fields{"id": "mem_lease"})})
	file, public := newKeyFile(t)
	g := startGateway(t, sim, "--signing-key", file, "--issuer", "https://license.example.com")
	want := expected(key, map[string]string{"HWID": machine(1)})
	want.Issuer, want.Audience, want.Subject = "https://license.example.com", testProduct, "mem_lease"
	before := time.Now().Unix()
	body := `{"metadata":{"HWID":"` + machine(1) + `"},"nonce":"` + testNonce + `"}`
	for range 2 { // from Whop, then from the cache
		claims, err := lease.Verify(askForLease(t, g, key, body), []lease.PublicKey{public}, want, testNonce)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, claims.IssuedAt, before)
		assert.Equal(t, claims.IssuedAt, claims.NotBefore)
		assert.Equal(t, int64(24*3600), claims.ExpiresAt-claims.IssuedAt)
		assert.Equal(t, int64(7*24*3600), claims.Grace)
	}
	other := strings.Replace(testNonce, "A", "B", 1)
	_, err := lease.Verify(askForLease(t, g, key, strings.Replace(body, testNonce, other, 1)), []lease.PublicKey{public}, want, testNonce)
	assert.Error(t, err, "each request's own nonce is signed")
}

func TestLeaseOfAnAppThatSendsNoNonce(t *testing.T) {
	key := testKey("nononce")
	sim := startSim(t, []fields{licensed(key)})
	file, public := newKeyFile(t)
	g := startGateway(t, sim, "--signing-key", file)
	token := askForLease(t, g, key, `{"metadata":{"é":"1","HWID":"`+machine(1)+`"}}`)
	now := lease.Clock{Now: lease.Milliseconds(time.Now().UnixMilli())}
	_, err := lease.StandIn(token, []lease.PublicKey{public}, expected(key, map[string]string{"HWID": machine(1), "é": "1"}), now)
	assert.NoError(t, err)
}

func TestWrongNonces(t *testing.T) {
	key := testKey("badnonce")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	for _, nonce := range []string{`"x"`, `"` + testNonce + `="`, `"` + testNonce + `A"`, `"AAECAwQFBgcICQoLDA0OD/"`, `"AAECAwQFBgcICQoLDA0ODx"`, `5`, `["` + testNonce + `"]`} {
		assertRefused(t, g.post(validatePath(key), `{"metadata":{},"nonce":`+nonce+`}`), http.StatusBadRequest, "invalid_request")
	}
	assert.Zero(t, sim.calls("v1.get"))
}

func TestRefusalsHaveNoLease(t *testing.T) {
	bound, ended := testKey("bound"), testKey("ended")
	sim := startSim(t, []fields{
		licensed(bound, fields{"metadata": fields{"HWID": machine(1)}}),
		licensed(ended, fields{"status": "canceled"}),
	})
	file, _ := newKeyFile(t)
	g := startGateway(t, sim, "--signing-key", file)
	for _, a := range []answer{g.validate(bound, machine(2)), g.validate(ended, machine(2)), g.validate(testKey("none"), machine(2))} {
		assert.NotEqual(t, http.StatusCreated, a.status)
		assert.NotContains(t, a.body, `"lease"`)
		assert.NotContains(t, a.body, "eyJ")
	}
}

// TestKeysAreRotatedWithoutAGap goes through a rotation: the next key is
// published, then signs, then the old one is gone.
func TestKeysAreRotatedWithoutAGap(t *testing.T) {
	key := testKey("rotate")
	sim := startSim(t, []fields{licensed(key)})
	oldFile, oldKey := newKeyFile(t)
	newFile, newKey := newKeyFile(t)
	want := expected(key, map[string]string{})
	for _, step := range []struct {
		files     []string
		signs     lease.PublicKey
		published []string
	}{
		{[]string{oldFile}, oldKey, []string{oldKey.ID()}},
		{[]string{oldFile, newFile}, oldKey, []string{oldKey.ID(), newKey.ID()}},
		{[]string{newFile, oldFile}, newKey, []string{newKey.ID(), oldKey.ID()}},
		{[]string{newFile}, newKey, []string{newKey.ID()}},
	} {
		var args []string
		for _, file := range step.files {
			args = append(args, "--signing-key", file)
		}
		g := startGateway(t, sim, args...)
		a := g.get("/.well-known/jwks.json")
		require.Equal(t, http.StatusOK, a.status)
		assert.NotContains(t, a.body, `"d"`, "the private half stays here")
		var set jose.JSONWebKeySet
		require.NoError(t, json.Unmarshal([]byte(a.body), &set))
		var published []string
		for _, k := range set.Keys {
			assert.True(t, k.IsPublic())
			published = append(published, k.KeyID)
		}
		assert.Equal(t, step.published, published)

		token := askForLease(t, g, key, `{"metadata":{},"nonce":"`+testNonce+`"}`)
		_, err := lease.Verify(token, []lease.PublicKey{step.signs}, want, testNonce)
		assert.NoError(t, err)
		// Other software verifies it with the published key.
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
		require.NoError(t, err)
		_, err = jws.Verify(set.Key(jws.Signatures[0].Header.KeyID)[0].Key)
		assert.NoError(t, err)
	}
}

func TestWithoutASigningKeyNothingIsPublished(t *testing.T) {
	sim := startSim(t, nil)
	a := startGateway(t, sim).get("/.well-known/jwks.json")
	assert.Equal(t, http.StatusOK, a.status)
	assert.JSONEq(t, `{"keys":[]}`, a.body)
}

func TestKeygen(t *testing.T) {
	file, _ := newKeyFile(t)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(file)
	require.NoError(t, err)

	code, _, errOut := tryRun("keygen", file)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "exists")
	again, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, text, again, "a key is never overwritten")

	code, out, _ := tryRun("keygen")
	assert.Zero(t, code)
	assert.Contains(t, out, `"d":`)
	for _, args := range [][]string{{"keygen", "--help"}, {"keygen", "a", "b"}} {
		code, _, errOut = tryRun(args...)
		assert.Equal(t, badSettings, code)
		assert.Contains(t, errOut, "usage")
	}
}

func TestSigningKeyFilesThatAreRefused(t *testing.T) {
	good, _ := newKeyFile(t)
	text, err := os.ReadFile(good)
	require.NoError(t, err)
	var jwk map[string]string
	require.NoError(t, json.Unmarshal(text, &jwk))
	without := func(name string) string {
		c := map[string]string{}
		for k, v := range jwk {
			if k != name {
				c[k] = v
			}
		}
		b, _ := json.Marshal(c)
		return string(b)
	}
	other, _ := newKeyFile(t)
	otherText, err := os.ReadFile(other)
	require.NoError(t, err)
	var otherJWK map[string]string
	require.NoError(t, json.Unmarshal(otherText, &otherJWK))
	for name, content := range map[string]string{
		"empty":          "",
		"garbage":        "\x00\x01",
		"public half":    without("d"),
		"no public half": without("x"),
		"halves of two":  strings.Replace(string(text), jwk["x"], otherJWK["x"], 1),
		"symmetric":      `{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODw"}`,
		"huge":           strings.Repeat(" ", 1<<20) + string(text),
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key.json")
			require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
			_, err := readSigningKey(file)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), jwk["d"])
		})
	}
	_, err = readSigningKey(filepath.Join(t.TempDir(), "none"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = newProofs(&settings{SigningKey: []string{good, good}})
	assert.ErrorContains(t, err, "twice")
}
