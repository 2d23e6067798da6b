package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// proof is the proof of a refusal, or empty.
func (a answer) proof(t *testing.T) string {
	t.Helper()
	var f struct {
		Error struct {
			Proof string `json:"proof"`
		} `json:"error"`
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &f), a.body)
	return f.Error.Proof
}

func TestRefusalsAreProven(t *testing.T) {
	bound, ended, other := testKey("bound"), testKey("ended"), testKey("other")
	sim := startSim(t, []fields{
		licensed(bound, fields{"metadata": fields{"HWID": machine(1)}}),
		licensed(ended, fields{"status": "canceled"}),
		licensed(other, fields{"product": "prod_other"}),
	})
	file, public := newKeyFile(t)
	g := startGateway(t, sim, "--signing-key", file, "--issuer", "https://license.example.com")
	keys := []lease.PublicKey{public}
	ask := func(segment, nonce string) answer {
		return g.post(validatePrefix+segment+validateSuffix, `{"metadata":{"é":"1","HWID":"`+machine(2)+`"},"nonce":"`+nonce+`"}`)
	}
	for _, c := range []struct {
		segment, key string // as in the path, and as the app knows it
		status       int
		code         string
	}{
		{bound, bound, http.StatusBadRequest, "metadata_mismatch"},
		{"%20" + bound + "%0A", bound, http.StatusBadRequest, "metadata_mismatch"},
		{ended, ended, http.StatusForbidden, "license_inactive"},
		{testKey("none"), testKey("none"), http.StatusNotFound, "not_found"},
		{other, other, http.StatusNotFound, "not_found"},
		{"ABC%20DEF", "ABC DEF", http.StatusNotFound, "not_found"},
		{"ABC%2FDEF%20", "ABC/DEF", http.StatusNotFound, "not_found"},
	} {
		t.Run(c.segment, func(t *testing.T) {
			want := expected(c.key, map[string]string{"HWID": machine(2), "é": "1"})
			want.Issuer = "https://license.example.com"
			before, asked := time.Now().Unix(), sim.calls("v1.get")
			// The second one comes from the cache, but for a mismatch, and is signed for
			// its own request.
			for _, nonce := range []string{testNonce, strings.Replace(testNonce, "A", "B", 1)} {
				a := ask(c.segment, nonce)
				assertRefused(t, a, c.status, c.code)
				claims, err := lease.VerifyRefusal(a.proof(t), keys, want, nonce, c.code)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, claims.IssuedAt, before)
				_, err = lease.Verify(a.proof(t), keys, want, nonce)
				assert.Error(t, err, "a proof is no lease")
			}
			if c.code != "metadata_mismatch" {
				assert.LessOrEqual(t, sim.calls("v1.get"), asked+1, "repeated from the cache")
			}
		})
	}
	// A mismatch is repeated from the cache to a machine that was not told it yet.
	before := sim.calls("v1.get")
	a := g.post(validatePath(bound), `{"metadata":{"é":"1","HWID":"`+machine(3)+`"},"nonce":"`+testNonce+`"}`)
	require.Equal(t, before, sim.calls("v1.get"))
	_, err := lease.VerifyRefusal(a.proof(t), keys, expected(bound, map[string]string{"HWID": machine(3), "é": "1"}), testNonce, "metadata_mismatch")
	assert.NoError(t, err)
}

func TestOnlyARefusalOfARequestWithANonceHasAProof(t *testing.T) {
	bound := testKey("bound")
	sim := startSim(t, []fields{licensed(bound, fields{"metadata": fields{"HWID": machine(1)}})})
	file, _ := newKeyFile(t)
	signing, plain := startGateway(t, sim, "--signing-key", file), startGateway(t, sim)
	assert.Empty(t, signing.validate(bound, machine(2)).proof(t), "no nonce")
	assert.Empty(t, signing.validate("ABC DEF", machine(2)).proof(t), "no nonce")
	withNonce := `{"metadata":{"HWID":"` + machine(2) + `"},"nonce":"` + testNonce + `"}`
	assert.Empty(t, plain.post(validatePath(bound), withNonce).proof(t), "no signing key")
	assert.Empty(t, signing.post(validatePath(bound), `{"metadata":{"HWID":""},"nonce":"`+testNonce+`"}`).proof(t), "no verdict")
	sim.outage("500")
	assert.Empty(t, signing.post(validatePath(bound), withNonce).proof(t), "no verdict")
	assert.NotEmpty(t, signing.post(validatePath("ABC DEF"), withNonce).proof(t))
}
