package api

import (
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/shared/lease"
)

// Proofs signs answers: a yes with a lease, a refusal with a proof. It is a
// [*Signer], or [Unsigned].
type Proofs interface {
	// lease returns the lease of a license that is valid for the machine that
	// asked, or "" if nothing is signed.
	lease(m *check.Membership, q *request, now time.Time) (string, error)
	// refusal returns the proof that this gateway gave a code to this very request,
	// which has a nonce, or "" if nothing is signed.
	refusal(code string, q *request, now time.Time) (string, error)
	// keys returns the public keys, so that other software can verify leases too.
	keys() jose.JSONWebKeySet
}

// Unsigned are the [Proofs] of a gateway without a signing key: there are none.
type Unsigned struct{}

func (Unsigned) lease(*check.Membership, *request, time.Time) (string, error) { return "", nil }
func (Unsigned) refusal(string, *request, time.Time) (string, error)          { return "", nil }
func (Unsigned) keys() jose.JSONWebKeySet                                     { return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}} }

// Signer signs answers with an Ed25519 key.
type Signer struct {
	issuer     string
	ttl, grace time.Duration
	leases     jose.Signer
	refusals   jose.Signer
	published  jose.JSONWebKeySet
}

// NewSigner returns a signer of leases that are valid for ttl, and may stand in
// for grace after that while the gateway can't be reached. The first of the
// private keys signs. All are published, so that apps can know a key before and
// after it is used; there must be at least one.
func NewSigner(issuer string, ttl, grace time.Duration, keys []*jose.JSONWebKey) (*Signer, error) {
	s := &Signer{issuer: issuer, ttl: ttl, grace: grace}
	for _, key := range keys {
		s.published.Keys = append(s.published.Keys, key.Public())
	}
	var err error
	if s.leases, err = newSigner(keys[0], lease.Type); err != nil {
		return nil, err
	}
	s.refusals, err = newSigner(keys[0], lease.RefusalType)
	return s, err
}

func newSigner(key *jose.JSONWebKey, kind jose.ContentType) (jose.Signer, error) {
	options := (&jose.SignerOptions{}).WithType(kind)
	return jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, options)
}

func (s *Signer) keys() jose.JSONWebKeySet { return s.published }

// lease returns the lease of a license that is valid for the machine that asked.
func (s *Signer) lease(m *check.Membership, q *request, now time.Time) (string, error) {
	iat := now.Unix()
	exp, grace := iat+int64(s.ttl.Seconds()), int64(s.grace.Seconds())
	if end := m.EndsAt; end != nil {
		// If the end has passed, Whop has not acted on it yet.
		last := max(*end, iat) + int64(check.EndAllowance.Seconds())
		exp = min(exp, last)
		grace = min(grace, last-exp)
	}
	key, machine, err := q.hashes()
	if err != nil {
		return "", err
	}
	return signed(s.leases, lease.Claims{
		Issuer: s.issuer, Subject: m.ID, Audience: m.Product,
		IssuedAt: iat, NotBefore: iat, ExpiresAt: exp, Grace: grace, Nonce: q.nonce,
		LicenseKeyHash: key, MetadataHash: machine,
	})
}

// refusal returns the proof of a refusal: that this gateway gave this code to this
// very request, which has a nonce.
func (s *Signer) refusal(code string, q *request, now time.Time) (string, error) {
	key, machine, err := q.hashes()
	if err != nil {
		return "", err
	}
	return signed(s.refusals, lease.RefusalClaims{
		Issuer: s.issuer, IssuedAt: now.Unix(), Nonce: q.nonce,
		LicenseKeyHash: key, MetadataHash: machine, Code: code,
	})
}

func signed(signer jose.Signer, claims interface{ Payload() ([]byte, error) }) (string, error) {
	payload, err := claims.Payload()
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}
