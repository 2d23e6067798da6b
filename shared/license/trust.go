package license

import (
	"errors"

	"github.com/whop-license/whop-license/shared/lease"
)

var errExpired = errors.New("the lease has expired")

// Trust says whose signature counts. With a Trust, a response becomes a [Verdict]
// only if it carries a lease, or the proof of a refusal, that one of the keys
// signed for this very request.
type Trust struct {
	Keys     []lease.PublicKey
	Issuer   string // the gateway's name; empty accepts any that holds one of the keys
	Audience string // the product's id; empty accepts any
}

// Stored is the lease of an earlier verdict, with what is known about the time.
type Stored struct {
	Lease string
	// Skew is the [Verdict].Skew that the lease came with, or 0 if it is not known.
	Skew Milliseconds
	// LastSeen is the latest time that was seen, by the clock plus the skew, or 0
	// if none is known.
	LastSeen Milliseconds
	// Prefer says that a lease that has not expired is to be used without asking
	// the server. A lease that has expired, but is within its grace, is not.
	Prefer bool
}

// LeaseName returns the name under which the lease of a license key and a machine
// id can be stored. It doesn't reveal either. The error is that of [ParseKey].
func LeaseName(licenseKey string, machineID map[string]string) (string, error) {
	key, err := hashKey(licenseKey)
	if err != nil {
		return "", err
	}
	return key + "." + lease.HashMetadata(machineID), nil
}

// hashKey returns the claim that a lease has for a license key, however it was typed.
func hashKey(licenseKey string) (string, error) {
	key, err := ParseKey(licenseKey)
	if err != nil {
		return "", err
	}
	return lease.HashLicenseKey(key), nil
}

// expect returns what a token must have been signed for.
func (q *Query) expect(subject string) lease.Expect {
	hash, _ := hashKey(q.LicenseKey) // an empty hash matches no token
	return lease.Expect{
		LicenseKeyHash: hash,
		MetadataHash:   lease.HashMetadata(q.MachineID),
		Issuer:         q.Trust.Issuer,
		Audience:       q.Trust.Audience,
		Subject:        subject,
	}
}

// verify adds the lease of a response that says yes to v, or returns why the
// response can't be trusted.
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
	v.Lease, v.LeaseExpiresAt = token, lease.Seconds(claims.StandsInUntil())
	v.Skew = lease.Seconds(claims.IssuedAt) - v.CheckedAt
	return nil
}

// verifyRefusal returns why a response that says no can't be trusted, or nil.
func (q *Query) verifyRefusal(p problem, status int) error {
	if p.proof == "" {
		return untrusted(status, "its refusal has no proof, so anyone could have written it", nil)
	}
	if _, err := lease.VerifyRefusal(p.proof, q.Trust.Keys, q.expect(""), q.Nonce, p.code); err != nil {
		return untrusted(status, err.Error(), err)
	}
	return nil
}

// standIn makes a verdict of the stored lease, or returns why that can't be done.
// With unexpired, the lease's grace does not count.
func (q *Query) standIn(now Milliseconds, unexpired bool) (*Verdict, error) {
	clock := lease.Clock{Now: now, Skew: q.Stored.Skew, LastSeen: q.Stored.LastSeen}
	claims, err := lease.StandIn(q.Stored.Lease, q.Trust.Keys, q.expect(""), clock)
	if err != nil {
		return nil, err
	}
	if unexpired && !claims.Unexpired(clock) {
		return nil, errExpired
	}
	return &Verdict{
		Code:           Valid,
		FromLease:      true,
		CheckedAt:      lease.Seconds(claims.IssuedAt),
		Membership:     Membership{{"id", appendString(nil, claims.Subject)}, {"product", appendString(nil, claims.Audience)}},
		Lease:          q.Stored.Lease,
		LeaseExpiresAt: lease.Seconds(claims.StandsInUntil()),
	}, nil
}
