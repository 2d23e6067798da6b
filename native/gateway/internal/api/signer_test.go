package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/shared/lease"
)

// TestLeaseEndsWithTheMembership holds that no lease, grace included, reaches
// more than the stated allowance past the membership's own end.
func TestLeaseEndsWithTheMembership(t *testing.T) {
	const day, nonce = 24 * 3600, "AAECAwQFBgcICQoLDA0ODw"
	now := time.Unix(1_800_000_000, 0)
	at := func(seconds int64) *int64 { s := now.Unix() + seconds; return &s }
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	key, err := lease.ParsePublicKey(base64.RawURLEncoding.EncodeToString(public))
	require.NoError(t, err)
	jwk := &jose.JSONWebKey{Key: private, KeyID: key.ID(), Algorithm: string(jose.EdDSA), Use: "sig"}
	allowance := int64(check.EndAllowance.Seconds())
	for name, c := range map[string]struct {
		end        *int64
		life, last int64 // seconds from now to exp, and to the end of grace
	}{
		"no end":                   {nil, day, 8 * day},
		"far end":                  {at(100 * day), day, 8 * day},
		"within grace":             {at(3 * day), day, 3*day + allowance},
		"within a day":             {at(5 * 3600), 5*3600 + allowance, 5*3600 + allowance},
		"passed, not yet acted on": {at(-5 * day), allowance, allowance},
		"within an hour":           {at(3600), 3600 + allowance, 3600 + allowance},
		"in two days":              {at(2 * day), day, 2*day + allowance},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := NewSigner("i", day*time.Second, 7*day*time.Second, []*jose.JSONWebKey{jwk})
			require.NoError(t, err)
			m := &check.Membership{ID: "mem_1", Product: "prod_1", EndsAt: c.end}
			q := &request{Query: check.Query{Key: "k", Sent: binding.Metadata{}}, nonce: nonce}
			token, err := signer.lease(m, q, now)
			require.NoError(t, err)
			want := lease.Expect{LicenseKeyHash: lease.HashLicenseKey("k"), MetadataHash: lease.HashMetadata(nil)}
			claims, err := lease.Verify(token, []lease.PublicKey{key}, want, nonce)
			require.NoError(t, err)
			assert.Equal(t, now.Unix()+c.life, claims.ExpiresAt)
			assert.Equal(t, now.Unix()+c.last, claims.StandsInUntil())
		})
	}
}
