package license

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
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

func newSigner(t testing.TB, seed byte) signer {
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
	return s.token(lease.Type, payload)
}

func (s signer) token(typ string, payload []byte) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"EdDSA","kid":"`+s.public.ID()+`","typ":"`+typ+`"}`)) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(s.private, []byte(signed)))
}

// refuse returns a refusal of testQuery, proven but for what change changes.
func (s signer) refuse(t *testing.T, code string, change func(*lease.RefusalClaims)) []byte {
	t.Helper()
	claims := lease.RefusalClaims{
		Issuer: "https://a.example", IssuedAt: int64(testNow / 1000), Nonce: testNonce, Code: code,
		LicenseKeyHash: lease.HashLicenseKey(testKey), MetadataHash: lease.HashMetadata(testQuery.MachineID),
	}
	if change != nil {
		change(&claims)
	}
	payload, err := claims.Payload()
	require.NoError(t, err)
	return refusalBody(code, s.token(lease.RefusalType, payload))
}

func refusalBody(code, proof string) []byte {
	return []byte(`{"error":{"code":"` + code + `","message":"No","proof":` + strconv.Quote(proof) + `}}`)
}

const (
	testNonce = "AAECAwQFBgcICQoLDA0ODw"
	hour      = int64(3600)
	day       = 24 * hour
)

// testClaims are those of a lease for testQuery, signed just now.
func testClaims() lease.Claims {
	now := int64(testNow / 1000)
	return lease.Claims{
		Issuer: "https://a.example", Subject: "mem_1", Audience: "prod_1",
		IssuedAt: now, NotBefore: now, ExpiresAt: now + day, Grace: 7 * day, Nonce: testNonce,
		LicenseKeyHash: lease.HashLicenseKey(testKey), MetadataHash: lease.HashMetadata(testQuery.MachineID),
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
	verdict, err := ReadResponse(trusting(s), &Response{Status: 201, Body: successBody(token)}, testNow)
	require.NoError(t, err)
	assert.False(t, verdict.FromLease)
	assert.JSONEq(t, `{"valid":true,"code":"valid","source":"server","checkedAt":"2026-11-23T00:00:00.123Z",
		"membership":{"valid":true,"id":"mem_1","product":"prod_1"},"lease":"`+token+`","leaseExpiresAt":"2026-12-01T00:00:00.000Z"}`,
		string(verdict.AppendJSON(nil)))

	t.Run("without a key a lease is not passed on", func(t *testing.T) {
		verdict, err := ReadResponse(testQuery, &Response{Status: 201, Body: successBody(token)}, testNow)
		require.NoError(t, err)
		assert.Empty(t, verdict.Lease)
	})
	t.Run("a key in rotation", func(t *testing.T) {
		q := trusting(newSigner(t, 2))
		q.Trust.Keys = append(q.Trust.Keys, s.public)
		_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(token)}, testNow)
		require.NoError(t, err)
	})
	t.Run("the license key is hashed without white space", func(t *testing.T) {
		q := trusting(s)
		q.LicenseKey = " " + testKey + "\n"
		_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(token)}, testNow)
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
		"never valid":         change(func(c *lease.Claims) { c.ExpiresAt = c.IssuedAt }),
		"a refusal's proof":   successBody(proofOf(t, s)),
		"valid is false":      []byte(`{"valid":false}`),
		"no, with a lease":    []byte(`{"valid":false,"lease":` + strconv.Quote(s.sign(t, testClaims())) + `}`),
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := ReadResponse(trusting(s), &Response{Status: 201, Body: body}, testNow)
			require.Nil(t, verdict)
			assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 201}, err)
		})
	}
	t.Run("a missing lease is named", func(t *testing.T) {
		_, err := ReadResponse(trusting(s), &Response{Status: 201, Body: []byte(`{"valid":true}`)}, testNow)
		assert.ErrorContains(t, err, "it has no lease")
	})
	t.Run("a lease of the wrong type is no answer at all", func(t *testing.T) {
		_, err := ReadResponse(trusting(s), &Response{Status: 201, Body: []byte(`{"valid":true,"lease":{}}`)}, testNow)
		assertError(t, &wantError{Code: BadResponse, Retryable: true, Status: 201}, err)
	})
	for name, trust := range map[string]Trust{
		"issuer":   {Keys: []lease.PublicKey{s.public}, Issuer: "https://b.example"},
		"audience": {Keys: []lease.PublicKey{s.public}, Audience: "prod_2"},
		"no key":   {},
	} {
		t.Run("configured: "+name, func(t *testing.T) {
			q := trusting(s)
			q.Trust = &trust
			_, err := ReadResponse(q, &Response{Status: 201, Body: successBody(s.sign(t, testClaims()))}, testNow)
			assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 201}, err)
		})
	}
	t.Run("no nonce was sent", func(t *testing.T) {
		q := trusting(s)
		q.Nonce = ""
		_, err := ReadResponse(q, &Response{Status: 201, Body: change(func(c *lease.Claims) { c.Nonce = "" })}, testNow)
		assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 201}, err)
	})
}

// proofOf returns a good proof that testQuery was refused.
func proofOf(t *testing.T, s signer) string {
	var body struct{ Error struct{ Proof string } }
	require.NoError(t, json.Unmarshal(s.refuse(t, "not_found", nil), &body))
	return body.Error.Proof
}

// A fresh answer is proven by its nonce, whatever the clock says; how far that
// is off is told, to be kept with the lease.
func TestFreshAnswerTellsTheSkew(t *testing.T) {
	s := newSigner(t, 1)
	body := successBody(s.sign(t, testClaims()))
	issuedAt := testNow / 1000 * 1000
	for _, now := range []Milliseconds{issuedAt, issuedAt - lease.Seconds(9*hour), issuedAt + lease.Seconds(9*hour), issuedAt + lease.Seconds(5*365*day), 0, lease.Seconds(-day)} {
		verdict, err := ReadResponse(trusting(s), &Response{Status: 201, Body: body}, now)
		require.NoError(t, err)
		assert.Equal(t, issuedAt-now, verdict.Skew)
		assert.NotContains(t, string(verdict.AppendJSON(nil)), "skew", "it is for the package alone")
	}
}

func TestProvenRefusal(t *testing.T) {
	s := newSigner(t, 1)
	for code, want := range map[string]Verdict{
		"metadata_mismatch": {Code: MetadataMismatch, Status: 400},
		"license_inactive":  {Code: Inactive, Status: 403},
		"not_found":         {Code: NotFound, Status: 404},
	} {
		t.Run(code, func(t *testing.T) {
			want.CheckedAt, want.Message = testNow, "No"
			for _, status := range []int{200, 201, 400, 401, 403, 404, 410} {
				verdict, err := ReadResponse(trusting(s), &Response{Status: status, Body: s.refuse(t, code, nil)}, testNow)
				if status == want.Status {
					require.NoError(t, err)
					assert.Equal(t, &want, verdict)
					continue
				}
				require.Nil(t, verdict)
				assertError(t, &wantError{Code: BadResponse, Retryable: true, Status: status}, err)
			}
		})
	}
	t.Run("whatever the clock says", func(t *testing.T) {
		for _, now := range []Milliseconds{0, testNow - lease.Seconds(9*hour), testNow + lease.Seconds(5*365*day)} {
			verdict, err := ReadResponse(trusting(s), &Response{Status: 404, Body: s.refuse(t, "not_found", nil)}, now)
			require.NoError(t, err)
			assert.Equal(t, NotFound, verdict.Code)
		}
	})
	t.Run("of the key without what can't be seen", func(t *testing.T) {
		q := trusting(s)
		q.LicenseKey = " \u200b" + testKey[:3] + "\u2060" + testKey[3:] + "\n"
		_, err := ReadResponse(q, &Response{Status: 404, Body: s.refuse(t, "not_found", nil)}, testNow)
		require.NoError(t, err)
	})
}

func TestUnprovenRefusals(t *testing.T) {
	s := newSigner(t, 1)
	change := func(f func(*lease.RefusalClaims)) []byte { return s.refuse(t, "not_found", f) }
	for name, body := range map[string][]byte{
		"no proof":            []byte(`{"error":{"code":"not_found"}}`),
		"proof is null":       []byte(`{"error":{"code":"not_found","proof":null}}`),
		"proof is an object":  []byte(`{"error":{"code":"not_found","proof":{}}}`),
		"proof is empty":      refusalBody("not_found", ""),
		"proof is garbage":    refusalBody("not_found", "x.y.z"),
		"proof elsewhere":     []byte(`{"error":{"code":"not_found"},"proof":` + strconv.Quote(proofOf(t, s)) + `}`),
		"a lease":             refusalBody("not_found", s.sign(t, testClaims())),
		"another signer":      newSigner(t, 2).refuse(t, "not_found", nil),
		"another nonce":       change(func(c *lease.RefusalClaims) { c.Nonce = "AAAAAAAAAAAAAAAAAAAAAA" }),
		"another license key": change(func(c *lease.RefusalClaims) { c.LicenseKeyHash = lease.HashLicenseKey("x") }),
		"another machine":     change(func(c *lease.RefusalClaims) { c.MetadataHash = lease.HashMetadata(nil) }),
		"another code":        change(func(c *lease.RefusalClaims) { c.Code = "license_inactive" }),
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := ReadResponse(trusting(s), &Response{Status: 404, Body: body}, testNow)
			require.Nil(t, verdict)
			assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 404}, err)
		})
	}
	t.Run("configured: issuer", func(t *testing.T) {
		q := trusting(s)
		q.Trust.Issuer = "https://b.example"
		_, err := ReadResponse(q, &Response{Status: 404, Body: change(nil)}, testNow)
		assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 404}, err)
	})
	t.Run("no nonce was sent", func(t *testing.T) {
		q := trusting(s)
		q.Nonce = ""
		_, err := ReadResponse(q, &Response{Status: 404, Body: change(nil)}, testNow)
		assertError(t, &wantError{Code: UntrustedResponse, Retryable: true, Status: 404}, err)
	})
}

// TestStandIn holds when a stored lease may stand in: where the server can't
// be asked, and never against its word.
func TestStandIn(t *testing.T) {
	s := newSigner(t, 1)
	stored := Stored{Lease: s.sign(t, testClaims())}
	no := answer(404, string(s.refuse(t, "not_found", nil)), "")
	cases := []struct {
		name    string
		answer  step
		later   int64 // seconds from the lease's time of issue to the call
		stored  Stored
		want    ErrorCode // "" where there is a verdict
		failure ErrorCode // why the lease stands in; "" for Unavailable
		refusal VerdictCode
	}{
		{name: "unavailable", answer: failing, stored: stored},
		{name: "no connection", answer: broken, stored: stored},
		{name: "rate limited", answer: answer(429, "", "60"), stored: stored, failure: RateLimited},
		{name: "on its last second of grace", answer: broken, later: 8*day - 1, stored: stored},
		{name: "past its grace", answer: broken, later: 8*day + 1, stored: stored, want: Unavailable},
		{name: "the clock was turned back behind its issue", answer: broken, later: -hour, stored: stored, want: Unavailable},
		{name: "the clock was turned back behind the latest time seen", answer: broken, later: day,
			stored: Stored{Lease: stored.Lease, LastSeen: testNow + lease.Seconds(2*day)}, want: Unavailable},
		{name: "a clock that drifts a little", answer: broken, later: day,
			stored: Stored{Lease: stored.Lease, LastSeen: testNow + lease.Seconds(day+60)}},
		{name: "no lease", answer: broken, want: Unavailable},
		{name: "a corrupt lease", answer: broken, stored: Stored{Lease: "\x00"}, want: Unavailable},
		{name: "another signer's lease", answer: broken, stored: Stored{Lease: newSigner(t, 2).sign(t, testClaims())}, want: Unavailable},
		{name: "a block page", answer: answer(401, "", ""), stored: stored, failure: BadResponse},
		{name: "garbage", answer: answer(201, "x", ""), stored: stored, failure: BadResponse},
		{name: "garbage, and no lease", answer: answer(201, "x", ""), want: BadResponse},
		{name: "garbage, past its grace", answer: answer(201, "x", ""), later: 8*day + 1, stored: stored, want: BadResponse},
		{name: "an untrusted answer", answer: answer(201, `{"valid":true}`, ""), stored: stored, failure: UntrustedResponse},
		{name: "an unproven refusal", answer: answer(404, `{"error":{"code":"not_found"}}`, ""), stored: stored, failure: UntrustedResponse},
		{name: "a request that the server can't read", answer: answer(400, `{"error":{"code":"invalid_request"}}`, ""), stored: stored, want: InvalidArgument},
		{name: "a slow clock, as it was when the lease came", answer: broken, later: 8*day - 1 - 9*hour,
			stored: Stored{Lease: stored.Lease, Skew: lease.Seconds(9 * hour), LastSeen: testNow + lease.Seconds(7*day)}},
		{name: "a slow clock, past the grace", answer: broken, later: 8*day + 1 - 9*hour,
			stored: Stored{Lease: stored.Lease, Skew: lease.Seconds(9 * hour)}, want: Unavailable},
		{name: "a fast clock, as it was when the lease came", answer: broken, later: 9 * hour,
			stored: Stored{Lease: stored.Lease, Skew: lease.Seconds(-9 * hour), LastSeen: testNow}},
		{name: "an old answer, replayed", answer: answer(201, string(successBody(s.sign(t, func() lease.Claims {
			c := testClaims()
			c.Nonce = "AAAAAAAAAAAAAAAAAAAAAA"
			return c
		}()))), ""), stored: stored, failure: UntrustedResponse},
		{name: "not found", answer: no, stored: stored, refusal: NotFound},
		{name: "mismatch", answer: answer(400, string(s.refuse(t, "metadata_mismatch", nil)), ""), stored: stored, refusal: MetadataMismatch},
		{name: "inactive", answer: answer(403, string(s.refuse(t, "license_inactive", nil)), ""), stored: stored, refusal: Inactive},
		{name: "preferred, it is not asked for", answer: no, stored: Stored{Lease: stored.Lease, Prefer: true}},
		{name: "preferred, but expired, the server is asked", answer: no, later: day,
			stored: Stored{Lease: stored.Lease, Prefer: true}, refusal: NotFound},
		{name: "preferred, in its last second", answer: no, later: day - 1,
			stored: Stored{Lease: stored.Lease, Prefer: true}},
		{name: "preferred, but past the latest time seen", answer: no, later: day - 200,
			stored: Stored{Lease: stored.Lease, Prefer: true, LastSeen: testNow + lease.Seconds(day)}, refusal: NotFound},
		{name: "preferred and expired, its grace still counts offline", answer: broken, later: 2 * day, stored: Stored{Lease: stored.Lease, Prefer: true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			clock := newFakeClock()
			clock.time += lease.Seconds(c.later)
			q := trusting(s)
			q.Stored = c.stored
			client := Client{Transport: &script{steps: []step{c.answer}}, Clock: clock, Random: func() float64 { return 0 }}
			verdict, err := client.Validate(context.Background(), q, RetryPolicy{})
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
				if c.stored.Prefer && c.later < day {
					assert.Nil(t, verdict.Failure, "the server was not asked")
				} else {
					require.NotNil(t, verdict.Failure)
					assert.Equal(t, orElse(string(c.failure), string(Unavailable)), string(verdict.Failure.Code))
				}
				verdict.Failure = nil
				assert.JSONEq(t, `{"valid":true,"code":"valid","source":"lease","checkedAt":"2026-11-23T00:00:00.000Z",
					"membership":{"valid":true,"id":"mem_1","product":"prod_1"},"lease":"`+stored.Lease+`","leaseExpiresAt":"2026-12-01T00:00:00.000Z"}`,
					string(verdict.AppendJSON(nil)))
			}
		})
	}
	t.Run("a lease that is refused for the clock is told by the cause", func(t *testing.T) {
		for later, want := range map[int64]lease.Reason{-hour: lease.ReasonClock, 8*day + 1: ""} {
			for _, answer := range []step{broken, failing, answer(200, "<html>", "")} {
				clock := newFakeClock()
				clock.time += lease.Seconds(later)
				q := trusting(s)
				q.Stored = stored
				client := Client{Transport: &script{steps: []step{answer}}, Clock: clock}
				_, err := client.Validate(context.Background(), q, RetryPolicy{Attempts: 1})
				var why *lease.Error
				if errors.As(err, &why) {
					assert.Contains(t, err.Error(), "set the clock")
				}
				assert.Equal(t, want != "", why != nil && why.Reason == want)
			}
		}
	})
	t.Run("timeout", func(t *testing.T) {
		clock := newFakeClock()
		q := trusting(s)
		q.Stored = stored
		client := Client{Transport: &script{steps: []step{func(ctx Context) (*Response, error) {
			clock.deadline()
			return unbroken(ctx)
		}}}, Clock: clock}
		verdict, err := client.Validate(context.Background(), q, RetryPolicy{})
		require.NoError(t, err)
		assert.True(t, verdict.FromLease)
	})
	t.Run("never for a caller that withdrew", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		q := trusting(s)
		q.Stored = Stored{Lease: stored.Lease, Prefer: true}
		client := Client{Transport: &script{steps: []step{good}}, Clock: newFakeClock()}
		_, err := client.Validate(ctx, q, RetryPolicy{})
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, Aborted, e.Code)
	})
	t.Run("another key or machine", func(t *testing.T) {
		for _, other := range []Query{
			{Endpoint: testQuery.Endpoint, LicenseKey: "OTHER", MachineID: testQuery.MachineID},
			{Endpoint: testQuery.Endpoint, LicenseKey: testKey, MachineID: map[string]string{"HWID": "m2"}},
		} {
			other.Trust, other.Nonce, other.Stored = trusting(s).Trust, testNonce, stored
			client := Client{Transport: &script{steps: []step{broken}}, Clock: newFakeClock(), Random: func() float64 { return 0 }}
			_, err := client.Validate(context.Background(), other, RetryPolicy{})
			require.Error(t, err)
		}
	})
}
