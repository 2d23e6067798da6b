package lease_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/testdata"
)

// vector is one file of shared/testdata/lease, which the README there describes.
type vector struct {
	About      string             `json:"about"`
	Captured   string             `json:"captured,omitempty"`
	Call       string             `json:"call"`
	Token      string             `json:"token,omitempty"`
	PublicKeys []string           `json:"publicKeys,omitempty"`
	PublicKey  string             `json:"publicKey,omitempty"`
	LicenseKey string             `json:"licenseKey,omitempty"`
	Metadata   map[string]string  `json:"metadata,omitempty"`
	Issuer     string             `json:"issuer,omitempty"`
	Audience   string             `json:"audience,omitempty"`
	Subject    string             `json:"subject,omitempty"`
	Nonce      string             `json:"nonce,omitempty"`
	Code       string             `json:"code,omitempty"`
	NowMs      lease.Milliseconds `json:"nowMs,omitempty"`
	SkewMs     lease.Milliseconds `json:"skewMs,omitempty"`
	LastSeenMs lease.Milliseconds `json:"lastSeenMs,omitempty"`
	Want       want               `json:"want"`
}

type want struct {
	Reason        lease.Reason    `json:"reason,omitempty"`
	Claims        json.RawMessage `json:"claims,omitempty"`
	StandsInUntil int64           `json:"standsInUntil,omitempty"`
	Kid           string          `json:"kid,omitempty"`
	Canonical     string          `json:"canonical,omitempty"`
	Hash          string          `json:"hash,omitempty"`
}

func (v vector) expect() lease.Expect {
	return lease.Expect{
		LicenseKeyHash: lease.HashLicenseKey(v.LicenseKey),
		MetadataHash:   lease.HashMetadata(v.Metadata),
		Issuer:         v.Issuer,
		Audience:       v.Audience,
		Subject:        v.Subject,
	}
}

func (v vector) keys(t testing.TB) (keys []lease.PublicKey) {
	for _, text := range v.PublicKeys {
		key, err := lease.ParsePublicKey(text)
		require.NoError(t, err)
		keys = append(keys, key)
	}
	return keys
}

func eachVector(t testing.TB, f func(name string, v vector)) {
	require.NoError(t, testdata.Each("lease", f))
}

func reason(t testing.TB, err error) lease.Reason {
	var refusal *lease.Error
	require.True(t, errors.As(err, &refusal), "%v", err)
	return refusal.Reason
}

func TestVectors(t *testing.T) {
	calls := map[string]int{}
	eachVector(t, func(name string, v vector) {
		calls[v.Call]++
		t.Run(name, func(t *testing.T) { v.check(t) })
	})
	for _, call := range []string{"verify", "verifyRefusal", "standIn", "parsePublicKey", "hashMetadata", "hashLicenseKey"} {
		assert.Positive(t, calls[call], call)
		delete(calls, call)
	}
	assert.Empty(t, calls, "calls that no test makes")
}

func (v vector) check(t *testing.T) {
	var claims interface{ Payload() ([]byte, error) }
	var standsInUntil int64
	var err error
	switch v.Call {
	case "verify":
		var c lease.Claims
		c, err = lease.Verify(v.Token, v.keys(t), v.expect(), v.Nonce)
		claims, standsInUntil = c, c.StandsInUntil()
	case "standIn":
		var c lease.Claims
		c, err = lease.StandIn(v.Token, v.keys(t), v.expect(), lease.Clock{Now: v.NowMs, Skew: v.SkewMs, LastSeen: v.LastSeenMs})
		claims, standsInUntil = c, c.StandsInUntil()
	case "verifyRefusal":
		claims, err = lease.VerifyRefusal(v.Token, v.keys(t), v.expect(), v.Nonce, v.Code)
	case "parsePublicKey":
		key, err := lease.ParsePublicKey(v.PublicKey)
		if v.Want.Reason == "" {
			require.NoError(t, err)
			assert.Equal(t, v.Want.Kid, key.ID())
			return
		}
		assert.Equal(t, v.Want.Reason, reason(t, err))
		assert.Zero(t, key)
		return
	case "hashMetadata":
		assert.Equal(t, v.Want.Canonical, string(lease.CanonicalMetadata(v.Metadata)))
		assert.Equal(t, v.Want.Hash, lease.HashMetadata(v.Metadata))
		return
	case "hashLicenseKey":
		assert.Equal(t, v.Want.Hash, lease.HashLicenseKey(v.LicenseKey))
		return
	}
	if v.Want.Reason == "" {
		require.NoError(t, err)
		made, err := claims.Payload()
		require.NoError(t, err)
		assert.JSONEq(t, string(v.Want.Claims), string(made))
		assert.Equal(t, v.Want.StandsInUntil, standsInUntil)
		return
	}
	assert.Equal(t, v.Want.Reason, reason(t, err))
	assert.Zero(t, claims)
	for _, secret := range []string{v.Token, v.LicenseKey, v.Nonce, v.Metadata["HWID"]} {
		if len(secret) > 3 {
			assert.NotContains(t, err.Error(), secret)
		}
	}
}
