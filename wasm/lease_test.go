//go:build js

package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"syscall/js"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// gateway answers as one that signs.
type gateway struct {
	t       *testing.T
	private ed25519.PrivateKey
	public  string
	nonces  []string
	skew    time.Duration
}

func newGateway(t *testing.T, seed byte) *gateway {
	private := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	return &gateway{t: t, private: private, public: base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey))}
}

type asked struct {
	Metadata map[string]string
	Nonce    string
}

func (g *gateway) read(init js.Value) (body asked) {
	require.NoError(g.t, json.Unmarshal([]byte(init.Get("body").String()), &body))
	return body
}

func (g *gateway) refuse(init js.Value) any {
	body := g.read(init)
	payload, err := lease.RefusalClaims{
		Issuer: "gateway", IssuedAt: time.Now().Unix(), Nonce: body.Nonce, Code: "not_found",
		LicenseKeyHash: lease.HashLicenseKey(testKey), MetadataHash: lease.HashMetadata(body.Metadata),
	}.Payload()
	require.NoError(g.t, err)
	return respond(404, []byte(`{"error":{"code":"not_found","message":"No","proof":`+strconv.Quote(g.token(lease.RefusalType, payload))+`}}`), nil)(init)
}

func (g *gateway) answer(init js.Value) any {
	body := g.read(init)
	g.nonces = append(g.nonces, body.Nonce)
	return respond(201, []byte(`{"id":"mem_1","valid":true,"lease":`+strconv.Quote(g.sign(body.Nonce, body.Metadata))+`}`), nil)(init)
}

func (g *gateway) sign(nonce string, metadata map[string]string) string {
	now := time.Now().Add(g.skew).Unix()
	payload, err := lease.Claims{
		Issuer: "gateway", Subject: "mem_1", Audience: "prod_1", IssuedAt: now, NotBefore: now, ExpiresAt: now + 3600, Grace: 3600,
		Nonce: nonce, LicenseKeyHash: lease.HashLicenseKey(testKey), MetadataHash: lease.HashMetadata(metadata),
	}.Payload()
	require.NoError(g.t, err)
	return g.token(lease.Type, payload)
}

func (g *gateway) token(typ string, payload []byte) string {
	public, err := lease.ParsePublicKey(g.public)
	require.NoError(g.t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"EdDSA","kid":"`+public.ID()+`","typ":"`+typ+`"}`)) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(g.private, []byte(signed)))
}

func TestProvenRefusal(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.refuse
	options := map[string]any{"publicKey": g.public, "lease": g.sign("", map[string]string{"HWID": "m1"})}
	verdict, reason := p.call(testKey, "m1", options)
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, `{"valid":false,"code":"not_found","source":"server","message":"No","status":404}`,
		stringify(eval(`({checkedAt, ...rest}) => rest`).Invoke(verdict)))
	p.answer = newGateway(t, 2).refuse
	verdict, reason = p.call(testKey, "m1", options)
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "untrusted_response", verdict.Get("error").Get("code").String())
	assert.Equal(t, 404, verdict.Get("error").Get("status").Int())
}

// The skew is told to the npm package, which keeps it with the lease, and to no
// other caller.
func TestSkew(t *testing.T) {
	g := newGateway(t, 1)
	g.skew = 9 * time.Hour
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.answer
	verdict, reason := p.call(testKey, "m1", map[string]any{"publicKey": g.public})
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.True(t, verdict.Get("skew").IsUndefined())
	inPackage := p.inPackage()
	answer, reason := inPackage.ask(map[string]any{"publicKey": g.public})
	require.True(t, reason.IsUndefined(), "%v", reason)
	verdict = answer.Get("verdict")
	assert.True(t, verdict.Get("skew").IsUndefined())
	skew := answer.Get("skew").Int()
	assert.InDelta(t, g.skew.Milliseconds(), skew, 10_000)

	p.global.Set("fetch", eval(`() => Promise.reject(new TypeError("Failed to fetch"))`))
	options := map[string]any{"publicKey": g.public, "lease": verdict.Get("lease"), "maxAttempts": 1}
	_, reason = p.call(testKey, "m1", options)
	requireCode(t, "unavailable", reason)
	assert.Equal(t, "clock", reason.Get("cause").Get("reason").String())
	assert.True(t, reason.Get("cause").InstanceOf(js.Global().Get("Error")))
	options["clock"] = map[string]any{"lastSeen": time.Now().Add(g.skew).UnixMilli(), "skew": skew}
	answer, reason = inPackage.ask(options)
	require.True(t, reason.IsUndefined(), "%v", reason)
	verdict = answer.Get("verdict")
	assert.Equal(t, "lease", verdict.Get("source").String())
	assert.Equal(t, "unavailable", verdict.Get("error").Get("code").String())
	assert.True(t, verdict.Get("error").Get("status").IsUndefined())
	assert.True(t, answer.Get("skew").IsUndefined())
}

func TestLease(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.answer
	verdict, reason := p.call(testKey, "m1", map[string]any{"publicKey": g.public, "issuer": "gateway", "audience": "prod_1"})
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "server", verdict.Get("source").String())
	token := verdict.Get("lease").String()
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT`, verdict.Get("leaseExpiresAt").String())

	offline := eval(`() => Promise.reject(new TypeError("Failed to fetch"))`)
	p.global.Set("fetch", offline)
	keys := []any{newGateway(t, 2).public, g.public}
	verdict, reason = p.call(testKey, "m1", map[string]any{"publicKey": keys, "lease": token, "maxAttempts": 1})
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "lease", verdict.Get("source").String())
	assert.Equal(t, token, verdict.Get("lease").String())

	_, reason = p.call(testKey, "m2", map[string]any{"publicKey": g.public, "lease": token, "maxAttempts": 1})
	requireCode(t, "unavailable", reason)
	_, reason = p.call(testKey, "m1", map[string]any{"publicKey": newGateway(t, 2).public, "lease": token, "maxAttempts": 1})
	requireCode(t, "unavailable", reason)
	future := float64(time.Now().Add(time.Hour).UnixMilli())
	_, reason = p.call(testKey, "m1", map[string]any{"publicKey": g.public, "lease": token, "maxAttempts": 1, "clock": map[string]any{"lastSeen": future}})
	requireCode(t, "unavailable", reason)

	p.global.Set("fetch", eval(`() => { throw new Error("must not be asked") }`))
	verdict, reason = p.call(testKey, "m1", map[string]any{"publicKey": g.public, "lease": token, "preferLease": true})
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "lease", verdict.Get("source").String())
}

func TestNonceIsNewForEachCall(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.answer
	for range 3 {
		_, reason := p.call(testKey, "m1", map[string]any{"publicKey": g.public})
		require.True(t, reason.IsUndefined(), "%v", reason)
	}
	for i, nonce := range g.nonces {
		raw, err := base64.RawURLEncoding.DecodeString(nonce)
		require.NoError(t, err)
		assert.Len(t, raw, 16)
		assert.NotContains(t, g.nonces[:i], nonce)
	}
}

func TestForgedServerIsUntrusted(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	_, reason := p.call(testKey, "m1", map[string]any{"publicKey": g.public})
	requireCode(t, "untrusted_response", reason)
	p.answer = newGateway(t, 2).answer
	_, reason = p.call(testKey, "m1", map[string]any{"publicKey": g.public})
	requireCode(t, "untrusted_response", reason)
	assert.True(t, reason.Get("retryable").Bool(), "perhaps on another network")
}

// TestBuiltInKey holds that a key in the module can't be left out or replaced.
func TestBuiltInKey(t *testing.T) {
	g, other := newGateway(t, 1), newGateway(t, 2)
	m, err := newModule(other.public + "," + g.public)
	require.NoError(t, err)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	m.realm, m.endpoint = newRealm(p.global), testEndpoint
	call := func(args ...js.Value) (js.Value, js.Value) { return settle(m.validateLicense(args).(js.Value)) }
	hwid := js.ValueOf("m1")

	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	_, reason := call(js.ValueOf(testKey), hwid)
	requireCode(t, "untrusted_response", reason)
	_, reason = call(js.ValueOf(testKey), hwid, js.ValueOf(map[string]any{"audience": "prod_1"}))
	requireCode(t, "untrusted_response", reason)
	p.answer = g.answer
	_, reason = call(js.ValueOf(testKey), hwid)
	require.True(t, reason.IsUndefined(), "%v", reason)
	sent := len(p.fetched)
	for _, options := range []map[string]any{{"publicKey": newGateway(t, 3).public}, {"publicKey": g.public}, {"publicKey": ""}} {
		_, reason = call(js.ValueOf(testKey), hwid, js.ValueOf(options))
		requireCode(t, "invalid_argument", reason)
	}
	assert.Len(t, p.fetched, sent)

	for _, bad := range []string{"x", ",", g.public + ",", " " + g.public} {
		_, err := newModule(bad)
		assert.Error(t, err, bad)
	}
}
