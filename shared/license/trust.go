package license

import (
	"errors"

	"github.com/whop-license/whop-license/shared/lease"
)

var errExpired = errors.New("the lease has expired")

// Trust is whose word counts. With a Trust, an answer is a [Verdict] only with a
// lease, or the proof of a refusal, that one of the keys signed for this very
// request.
type Trust struct {
	Keys     []lease.PublicKey
	Issuer   string // the gateway's name; empty for any that holds a key
	Audience string // the product's id; empty for any
}

// Stored is a lease that an earlier answer left, with what is known of the time.
type Stored struct {
	Lease string
	// SkewMs is the [Verdict].SkewMs that the lease came with; 0 where it is not known.
	SkewMs int64
	// LastSeenMs is the latest time seen, by the clock plus the skew, in
	// milliseconds since the epoch; 0 where none is known.
	LastSeenMs int64
	// Prefer answers from a lease that has not expired without asking the
	// server. It does not extend to a lease that lives on by its grace.
	Prefer bool
}

func (q *Query) expect(subject string) lease.Expect {
	key, _ := ParseKey(q.LicenseKey)
	return lease.Expect{
		LicenseKeyHash: lease.HashLicenseKey(key),
		MetadataHash:   lease.HashMetadata(q.Metadata),
		Issuer:         q.Trust.Issuer,
		Audience:       q.Trust.Audience,
		Subject:        subject,
	}
}

// verify adds the lease of a valid answer to v, or refuses the answer.
func (q *Query) verify(v *Verdict, token string, status int) error {
	if token == "" {
		return untrusted(status, "it has no lease, so anyone could have written it", nil)
	}
	claims, err := lease.Verify(token, q.Trust.Keys, q.expect(v.Membership.text("id")), q.Nonce)
	if err != nil {
		return untrusted(status, err.Error(), err)
	}
	if product := v.Membership.text("product"); product != "" && product != claims.Audience {
		return untrusted(status, "its product is not the one that its lease is for", nil)
	}
	v.Lease, v.LeaseExpiresAtMs = token, claims.StandsInUntil()*1000
	v.SkewMs = claims.IssuedAt*1000 - v.CheckedAtMs
	return nil
}

// verifyRefusal refuses an answer that says no without proof.
func (q *Query) verifyRefusal(p problem, status int) error {
	if p.proof == "" {
		return untrusted(status, "its refusal has no proof, so anyone could have written it", nil)
	}
	if _, err := lease.VerifyRefusal(p.proof, q.Trust.Keys, q.expect(""), q.Nonce, p.code); err != nil {
		return untrusted(status, err.Error(), err)
	}
	return nil
}

// standIn answers from the stored lease, or says why that can't be. With
// unexpired, its grace does not count.
func (q *Query) standIn(nowMs int64, unexpired bool) (*Verdict, error) {
	clock := lease.Clock{NowMs: nowMs, SkewMs: q.Stored.SkewMs, LastSeenMs: q.Stored.LastSeenMs}
	claims, err := lease.StandIn(q.Stored.Lease, q.Trust.Keys, q.expect(""), clock)
	if err != nil {
		return nil, err
	}
	if unexpired && !claims.Unexpired(clock) {
		return nil, errExpired
	}
	return &Verdict{
		Code:             Valid,
		FromLease:        true,
		CheckedAtMs:      claims.IssuedAt * 1000,
		Membership:       Membership{{"id", appendString(nil, claims.Subject)}, {"product", appendString(nil, claims.Audience)}},
		Lease:            q.Stored.Lease,
		LeaseExpiresAtMs: claims.StandsInUntil() * 1000,
	}, nil
}
