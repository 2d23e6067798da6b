package license

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// signer is a gateway's key.
type signer struct {
	private ed25519.PrivateKey
	public  lease.PublicKey
}

func newSigner(t *testing.T, seed byte) signer {
	t.Helper()
	private := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	public, err := lease.ParsePublicKey(base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey)))
	require.NoError(t, err)
	return signer{private, public}
}

func (s signer) sign(t *testing.T, claims lease.Claims) string {
	t.Helper()
	payload, err := claims.Payload()
	require.NoError(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"EdDSA","kid":"`+s.public.ID()+`","typ":"`+lease.Type+`"}`)) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(s.private, []byte(signed)))
}

const (
	testNonce = "AAECAwQFBgcICQoLDA0ODw"
	hour      = int64(3600)
	day       = 24 * hour
)

// testClaims are those of a lease for testQuery, signed just now.
func testClaims() lease.Claims {
	now := testNowMs / 1000
	return lease.Claims{
		Issuer: "https://a.example", Subject: "mem_1", Audience: "prod_1",
		IssuedAt: now, NotBefore: now, ExpiresAt: now + day, Grace: 7 * day, Nonce: testNonce,
		LicenseKeyHash: lease.HashLicenseKey(testKey), MetadataHash: lease.HashMetadata(testQuery.Metadata),
	}
}

func trusting(s signer) Query {
	q := testQuery
	q.Trust, q.Nonce = &Trust{Keys: []lease.PublicKey{s.public}}, testNonce
	return q
}

func successBody(token string) []byte {
	return []byte(`{"id":"mem_1","product":"prod_1","valid":true,"lease":` + strconv.Quote(token) + `}`)
}

func TestTrustedAnswer(t *testing.T) {
	s := newSigner(t, 1)
	token := s.sign(t, testClaims())
	verdict, err := ReadResponse(trusting(s), &Response{Status: 201, Body: successBody(token)}, testNowMs)
	require.NoError(t, err)
	assert.False(t, verdict.FromLease)
	assert.JSONEq(t, `{"valid":true,"code":"valid","source":"server","checkedAt":"2026-11-23T00:00:00.123Z",
		"membership":{"valid":true,"id":"mem_1","product":"prod_1"},"lease":"`+token+`","leaseExpiresAt":"2026-12-01T00:00:00.000Z"}`,
		string(verdict.AppendJSON(nil)))

	t.Run("without a key a lease is not passed on", func(t *testing.T) {
		verdict, err := ReadResponse(testQuery, &Response{Status: 201, Body: successBody(token)}, testNowMs)
		require.NoError(t, err)
		assert.Empty(t, verdict.Lease)
	})
	t.Run("a key in rotation", func(t *testing.T) {
		q := trusting(newSigner(t, 2))
		q.Trust.Keys = append(q.Trust.Keys, s.public)
		_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(token)}, testNowMs)
		require.NoError(t, err)
	})
	t.Run("the license key is hashed without white space", func(t *testing.T) {
		q := trusting(s)
		q.LicenseKey = " " + testKey + "\n"
		_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(token)}, testNowMs)
		require.NoError(t, err)
	})
}

func TestUntrustedAnswers(t *testing.T) {
	s := newSigner(t, 1)
	change := func(f func(*lease.Claims)) []byte {
		claims := testClaims()
		f(&claims)
		return successBody(s.sign(t, claims))
	}
	for name, body := range map[string][]byte{
		"no lease":            []byte(`{"valid":true}`),
		"lease is null":       []byte(`{"valid":true,"lease":null}`),
		"lease is empty":      []byte(`{"valid":true,"lease":""}`),
		"lease is garbage":    []byte(`{"valid":true,"lease":"x.y.z"}`),
		"another signer":      successBody(newSigner(t, 2).sign(t, testClaims())),
		"another nonce":       change(func(c *lease.Claims) { c.Nonce = "AAAAAAAAAAAAAAAAAAAAAA" }),
		"another license key": change(func(c *lease.Claims) { c.LicenseKeyHash = lease.HashLicenseKey("x") }),
		"another machine":     change(func(c *lease.Claims) { c.MetadataHash = lease.HashMetadata(nil) }),
		"another membership":  change(func(c *lease.Claims) { c.Subject = "mem_2" }),
		"another product":     change(func(c *lease.Claims) { c.Audience = "prod_2" }),
		"expired": change(func(c *lease.Claims) {
			c.IssuedAt -= 2 * day
			c.NotBefore -= 2 * day
			c.ExpiresAt -= 2 * day
		}),
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := ReadResponse(trusting(s), &Response{Status: 201, Body: body}, testNowMs)
			require.Nil(t, verdict)
			assertError(t, &wantError{Code: UntrustedResponse, Status: 201}, err)
		})
	}
	t.Run("a missing lease is named", func(t *testing.T) {
		_, err := ReadResponse(trusting(s), &Response{Status: 201, Body: []byte(`{"valid":true}`)}, testNowMs)
		assert.ErrorContains(t, err, "it has no lease")
	})
	t.Run("a lease of the wrong type is no answer at all", func(t *testing.T) {
		_, err := ReadResponse(trusting(s), &Response{Status: 201, Body: []byte(`{"valid":true,"lease":{}}`)}, testNowMs)
		assertError(t, &wantError{Code: BadResponse, Status: 201}, err)
	})
	for name, trust := range map[string]Trust{
		"issuer":   {Keys: []lease.PublicKey{s.public}, Issuer: "https://b.example"},
		"audience": {Keys: []lease.PublicKey{s.public}, Audience: "prod_2"},
		"no key":   {},
	} {
		t.Run("configured: "+name, func(t *testing.T) {
			q := trusting(s)
			q.Trust = &trust
			_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(s.sign(t, testClaims()))}, testNowMs)
			assertError(t, &wantError{Code: UntrustedResponse, Status: 201}, err)
		})
	}
	t.Run("no nonce was sent", func(t *testing.T) {
		q := trusting(s)
		q.Nonce = ""
		_, err := ReadResponse(q, &Response{Status: 201, Body: change(func(c *lease.Claims) { c.Nonce = "" })}, testNowMs)
		assertError(t, &wantError{Code: UntrustedResponse, Status: 201}, err)
	})
}

// TestStandIn holds when a stored lease may stand in: where the server can't
// be asked, and never against its word.
func TestStandIn(t *testing.T) {
	s := newSigner(t, 1)
	stored := Stored{Lease: s.sign(t, testClaims())}
	cases := []struct {
		name    string
		answer  step
		later   int64 // seconds from the lease's time of issue to the call
		stored  Stored
		want    ErrorCode // "" where the lease stands in
		refusal VerdictCode
	}{
		{name: "unavailable", answer: failing, stored: stored},
		{name: "no connection", answer: broken, stored: stored},
		{name: "rate limited", answer: answer(429, "", "60"), stored: stored},
		{name: "on its last second of grace", answer: broken, later: 8*day - 1, stored: stored},
		{name: "past its grace", answer: broken, later: 8*day + 1, stored: stored, want: Unavailable},
		{name: "the clock was turned back behind its issue", answer: broken, later: -hour, stored: stored, want: Unavailable},
		{name: "the clock was turned back behind the latest time seen", answer: broken, later: day,
			stored: Stored{Lease: stored.Lease, LastSeenMs: testNowMs + 2*day*1000}, want: Unavailable},
		{name: "a clock that drifts a little", answer: broken, later: day,
			stored: Stored{Lease: stored.Lease, LastSeenMs: testNowMs + (day+60)*1000}},
		{name: "no lease", answer: broken, want: Unavailable},
		{name: "a corrupt lease", answer: broken, stored: Stored{Lease: "\x00"}, want: Unavailable},
		{name: "another signer's lease", answer: broken, stored: Stored{Lease: newSigner(t, 2).sign(t, testClaims())}, want: Unavailable},
		{name: "a wrong API key", answer: answer(401, "", ""), stored: stored, want: Unauthorized},
		{name: "garbage", answer: answer(201, "x", ""), stored: stored, want: BadResponse},
		{name: "an untrusted answer", answer: answer(201, `{"valid":true}`, ""), stored: stored, want: UntrustedResponse},
		{name: "an old answer, replayed", answer: answer(201, string(successBody(s.sign(t, func() lease.Claims {
			c := testClaims()
			c.Nonce = "AAAAAAAAAAAAAAAAAAAAAA"
			return c
		}()))), ""), stored: stored, want: UntrustedResponse},
		{name: "not found", answer: answer(404, `{"error":"x"}`, ""), stored: stored, refusal: NotFound},
		{name: "mismatch", answer: answer(400, "", ""), stored: stored, refusal: MetadataMismatch},
		{name: "inactive", answer: answer(403, `{"error":{"code":"license_inactive"}}`, ""), stored: stored, refusal: Inactive},
		{name: "preferred, it is not asked for", answer: answer(404, `{"error":"x"}`, ""), stored: Stored{Lease: stored.Lease, Prefer: true}},
		{name: "preferred, but expired, the server is asked", answer: answer(404, `{"error":"x"}`, ""), later: day,
			stored: Stored{Lease: stored.Lease, Prefer: true}, refusal: NotFound},
		{name: "preferred, in its last second", answer: answer(404, `{"error":"x"}`, ""), later: day - 1,
			stored: Stored{Lease: stored.Lease, Prefer: true}},
		{name: "preferred, but past the latest time seen", answer: answer(404, `{"error":"x"}`, ""), later: day - 200,
			stored: Stored{Lease: stored.Lease, Prefer: true, LastSeenMs: testNowMs + day*1000}, refusal: NotFound},
		{name: "preferred and expired, its grace still counts offline", answer: broken, later: 2 * day, stored: Stored{Lease: stored.Lease, Prefer: true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			clock := newFakeClock()
			clock.ms += c.later * 1000
			q := trusting(s)
			q.Stored = c.stored
			client := Client{Transport: &script{steps: []step{c.answer}}, Clock: clock, Random: func() float64 { return 0 }}
			verdict, err := client.Validate(context.Background(), q, Limits{})
			switch {
			case c.want != "":
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, c.want, e.Code)
			case c.refusal != "":
				require.NoError(t, err)
				assert.Equal(t, c.refusal, verdict.Code)
				assert.False(t, verdict.FromLease)
			default:
				require.NoError(t, err)
				assert.JSONEq(t, `{"valid":true,"code":"valid","source":"lease","checkedAt":"2026-11-23T00:00:00.000Z",
					"membership":{"valid":true,"id":"mem_1","product":"prod_1"},"lease":"`+stored.Lease+`","leaseExpiresAt":"2026-12-01T00:00:00.000Z"}`,
					string(verdict.AppendJSON(nil)))
			}
		})
	}
	t.Run("timeout", func(t *testing.T) {
		clock := newFakeClock()
		q := trusting(s)
		q.Stored = stored
		client := Client{Transport: &script{steps: []step{func(ctx Context) (*Response, error) {
			clock.deadline()
			return unbroken(ctx)
		}}}, Clock: clock}
		verdict, err := client.Validate(context.Background(), q, Limits{})
		require.NoError(t, err)
		assert.True(t, verdict.FromLease)
	})
	t.Run("never for a caller that withdrew", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		q := trusting(s)
		q.Stored = Stored{Lease: stored.Lease, Prefer: true}
		client := Client{Transport: &script{steps: []step{good}}, Clock: newFakeClock()}
		_, err := client.Validate(ctx, q, Limits{})
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, Aborted, e.Code)
	})
	t.Run("another key or machine", func(t *testing.T) {
		for _, other := range []Query{
			{Endpoint: testQuery.Endpoint, LicenseKey: "OTHER", Metadata: testQuery.Metadata},
			{Endpoint: testQuery.Endpoint, LicenseKey: testKey, Metadata: map[string]string{"HWID": "m2"}},
		} {
			other.Trust, other.Nonce, other.Stored = trusting(s).Trust, testNonce, stored
			client := Client{Transport: &script{steps: []step{broken}}, Clock: newFakeClock(), Random: func() float64 { return 0 }}
			_, err := client.Validate(context.Background(), other, Limits{})
			require.Error(t, err)
		}
	})
}
