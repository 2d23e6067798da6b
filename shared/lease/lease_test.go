package lease_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// What the vectors that this package makes have in common.
const (
	licenseKey = "A1B2C3-D4E5F6-G7H8I9"
	issuedAt   = int64(1_795_392_000) // 2026-11-23T00:00:00Z
	nowMs      = lease.Milliseconds(issuedAt*1000 + 2000)
	hour, day  = int64(3600), int64(86400)
	hourMs     = lease.Milliseconds(hour * 1000)
	dayMs      = lease.Milliseconds(day * 1000)
)

var metadata = map[string]string{"HWID": "m1"}

func claims() lease.Claims {
	return lease.Claims{
		Issuer:         "https://licenses.example.com",
		Subject:        "mem_A1b2C3d4E5f6G7",
		Audience:       "prod_Zz9yX8wV7u",
		IssuedAt:       issuedAt,
		NotBefore:      issuedAt,
		ExpiresAt:      issuedAt + day,
		Nonce:          "AAECAwQFBgcICQoLDA0ODw",
		LicenseKeyHash: lease.HashLicenseKey(licenseKey),
		MetadataHash:   lease.HashMetadata(metadata),
		Grace:          7 * day,
	}
}

func refusalClaims() lease.RefusalClaims {
	c := claims()
	return lease.RefusalClaims{
		Issuer: c.Issuer, IssuedAt: c.IssuedAt, Nonce: c.Nonce,
		LicenseKeyHash: c.LicenseKeyHash, MetadataHash: c.MetadataHash, Code: "not_found",
	}
}

func expect() lease.Expect {
	c := claims()
	return lease.Expect{LicenseKeyHash: c.LicenseKeyHash, MetadataHash: c.MetadataHash, Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func payload(c lease.Claims) string {
	p, err := c.Payload()
	must(err)
	return string(p)
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func unb64(text string) []byte {
	data, err := base64.RawURLEncoding.DecodeString(text)
	must(err)
	return data
}

// signer is a fixed key for tests.
type signer struct{ private ed25519.PrivateKey }

func newSigner(name string) signer {
	seed := sha256.Sum256([]byte(name))
	return signer{ed25519.NewKeyFromSeed(seed[:])}
}

var (
	signer1 = newSigner("whop-license test key 1")
	signer2 = newSigner("whop-license test key 2")
)

func (s signer) public() string { return b64(s.private.Public().(ed25519.PublicKey)) }
func (s signer) kid() string {
	return lease.KeyID([32]byte(s.private.Public().(ed25519.PublicKey)))
}
func (s signer) header() string { return s.headerOf(lease.Type) }

func (s signer) headerOf(typ string) string {
	return `{"alg":"EdDSA","kid":"` + s.kid() + `","typ":"` + typ + `"}`
}

// sign signs any header and payload.
func (s signer) sign(header, payload string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	return signed + "." + b64(ed25519.Sign(s.private, []byte(signed)))
}

func (s signer) lease(c lease.Claims) string { return s.sign(s.header(), payload(c)) }

func (s signer) keys(t testing.TB) []lease.PublicKey {
	key, err := lease.ParsePublicKey(s.public())
	require.NoError(t, err)
	return []lease.PublicKey{key}
}

// A key that was never parsed has an empty ID; a lease can't claim it.
func TestZeroPublicKeyVerifiesNothing(t *testing.T) {
	header := strings.Replace(signer1.header(), signer1.kid(), "", 1)
	_, err := lease.Verify(signer1.sign(header, payload(claims())), []lease.PublicKey{{}}, expect(), claims().Nonce)
	assert.Equal(t, lease.ReasonKeyID, reason(t, err))
	assert.Empty(t, lease.PublicKey{}.ID())
}

func TestExpectNothingMatchesNothing(t *testing.T) {
	_, err := lease.Verify(signer1.lease(claims()), signer1.keys(t), lease.Expect{}, claims().Nonce)
	assert.Equal(t, lease.ReasonLicenseKey, reason(t, err))
}

func TestExtremeClocks(t *testing.T) {
	token, keys := signer1.lease(claims()), signer1.keys(t)
	for _, now := range []lease.Milliseconds{math.MinInt64, math.MinInt64 + 1, -1, 0} {
		for _, seen := range []lease.Milliseconds{math.MinInt64, -1, 0, 1, math.MaxInt64} {
			_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: now, LastSeen: seen})
			assert.Equal(t, lease.ReasonClock, reason(t, err), "%d %d", now, seen)
		}
	}
	for seen, want := range map[lease.Milliseconds]lease.Reason{math.MinInt64: lease.ReasonExpired, 0: lease.ReasonExpired, math.MaxInt64: lease.ReasonExpired} {
		_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: math.MaxInt64, LastSeen: seen})
		assert.Equal(t, want, reason(t, err), seen)
	}
	_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: nowMs, LastSeen: math.MinInt64})
	assert.NoError(t, err)
	_, err = lease.StandIn(token, keys, expect(), lease.Clock{Now: nowMs, LastSeen: math.MaxInt64})
	assert.Equal(t, lease.ReasonClock, reason(t, err))
}

// No sum of a clock and a skew wraps around.
func TestExtremeSkews(t *testing.T) {
	token, keys := signer1.lease(claims()), signer1.keys(t)
	for _, now := range []lease.Milliseconds{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: now, Skew: math.MinInt64})
		assert.Equal(t, lease.ReasonClock, reason(t, err), now)
	}
	_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: nowMs, Skew: math.MinInt64})
	assert.NoError(t, err, "a clock that has been set right")
	for _, now := range []lease.Milliseconds{-1, 0, 1, nowMs, math.MaxInt64} {
		_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: now, Skew: math.MaxInt64})
		assert.Equal(t, lease.ReasonExpired, reason(t, err), now)
	}
}

// The last times that JSON dates can tell: no arithmetic overflows there.
func TestLatestTimes(t *testing.T) {
	c := claims()
	c.ExpiresAt = 253402300799
	c.IssuedAt, c.NotBefore, c.Grace = c.ExpiresAt-lease.MaxLifetime, 0, lease.MaxGrace
	token, keys := signer1.lease(c), signer1.keys(t)
	until := lease.Seconds(c.StandsInUntil())
	_, err := lease.StandIn(token, keys, expect(), lease.Clock{Now: until})
	assert.NoError(t, err)
	_, err = lease.StandIn(token, keys, expect(), lease.Clock{Now: until + 1})
	assert.Equal(t, lease.ReasonExpired, reason(t, err))
}

// A server can't sign what no client would take.
func TestPayloadRefuses(t *testing.T) {
	for name, change := range map[string]func(*lease.Claims){
		"no issuer":          func(c *lease.Claims) { c.Issuer = "" },
		"no subject":         func(c *lease.Claims) { c.Subject = "" },
		"no audience":        func(c *lease.Claims) { c.Audience = "" },
		"long nonce":         func(c *lease.Claims) { c.Nonce = strings.Repeat("n", 513) },
		"ill-formed Unicode": func(c *lease.Claims) { c.Issuer = "\xff" },
		"a license key":      func(c *lease.Claims) { c.LicenseKeyHash = licenseKey },
		"no metadata hash":   func(c *lease.Claims) { c.MetadataHash = "" },
		"negative iat":       func(c *lease.Claims) { c.IssuedAt, c.NotBefore, c.ExpiresAt = -1, 0, day },
		"smallest nbf":       func(c *lease.Claims) { c.NotBefore = math.MinInt64 },
		"largest exp":        func(c *lease.Claims) { c.ExpiresAt = math.MaxInt64 },
		"year 10000": func(c *lease.Claims) {
			c.IssuedAt, c.ExpiresAt = 253402300799, 253402300800
		},
		"times in ms":    func(c *lease.Claims) { c.IssuedAt, c.ExpiresAt = c.IssuedAt*1000, c.ExpiresAt*1000 },
		"lifetime":       func(c *lease.Claims) { c.ExpiresAt = c.IssuedAt + lease.MaxLifetime + 1 },
		"grace":          func(c *lease.Claims) { c.Grace = lease.MaxGrace + 1 },
		"negative grace": func(c *lease.Claims) { c.Grace = -1 },
		"too long together": func(c *lease.Claims) {
			c.Issuer, c.Subject = strings.Repeat("\x01", 300), strings.Repeat("\x01", 300)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := claims()
			change(&c)
			made, err := c.Payload()
			assert.Equal(t, lease.ReasonMalformed, reason(t, err))
			assert.Nil(t, made)
		})
	}
}

// What a server can sign, a client can read, up to the longest.
func TestPayloadRoundTrip(t *testing.T) {
	c := claims()
	for c.Issuer = "https://"; ; c.Issuer += "\x01" {
		longer := c
		longer.Issuer += "\x01"
		if _, err := longer.Payload(); err != nil {
			break
		}
	}
	made, err := c.Payload()
	require.NoError(t, err)
	const most = (lease.MaxTokenSize - 300) * 3 / 4 // leaves room for header and signature
	for len(made) < most {                          // the longest, to the byte
		c.Nonce += "n"
		made, err = c.Payload()
		require.NoError(t, err)
	}
	tooLong := c
	tooLong.Nonce += "n"
	_, err = tooLong.Payload()
	assert.Equal(t, lease.ReasonMalformed, reason(t, err))
	token := signer1.lease(c)
	assert.Less(t, lease.MaxTokenSize-200, len(token))
	want := expect()
	want.Issuer = c.Issuer
	got, err := lease.Verify(token, signer1.keys(t), want, c.Nonce)
	require.NoError(t, err)
	assert.Equal(t, c, got)
}

func TestRefusalPayloadRefuses(t *testing.T) {
	for name, change := range map[string]func(*lease.RefusalClaims){
		"no issuer":          func(c *lease.RefusalClaims) { c.Issuer = "" },
		"no nonce":           func(c *lease.RefusalClaims) { c.Nonce = "" },
		"long nonce":         func(c *lease.RefusalClaims) { c.Nonce = strings.Repeat("n", 513) },
		"no code":            func(c *lease.RefusalClaims) { c.Code = "" },
		"ill-formed Unicode": func(c *lease.RefusalClaims) { c.Code = "\xff" },
		"a license key":      func(c *lease.RefusalClaims) { c.LicenseKeyHash = licenseKey },
		"no metadata hash":   func(c *lease.RefusalClaims) { c.MetadataHash = "" },
		"negative iat":       func(c *lease.RefusalClaims) { c.IssuedAt = -1 },
		"iat in ms":          func(c *lease.RefusalClaims) { c.IssuedAt *= 1000 },
		"too long together": func(c *lease.RefusalClaims) {
			c.Issuer, c.Code = strings.Repeat("\x01", 300), strings.Repeat("\x01", 300)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := refusalClaims()
			change(&c)
			made, err := c.Payload()
			assert.Equal(t, lease.ReasonMalformed, reason(t, err))
			assert.Nil(t, made)
		})
	}
}

func TestNonce(t *testing.T) {
	var random [16]byte
	for i := range random {
		random[i] = byte(i * 17)
	}
	assert.Equal(t, base64.RawURLEncoding.EncodeToString(random[:]), lease.Nonce(random))
	assert.Len(t, lease.Nonce(random), 22)
}
