package lease

// How far clocks may be apart, in seconds.
const (
	// Drift is the error that a clock is forgiven: a lease from the future, or a
	// time before the latest that was seen, is refused beyond it.
	Drift = 5 * 60
	// FreshDrift is how far in the future a lease may be issued that answers
	// the request just made: see [Verify].
	FreshDrift = 24 * 3600
)

// Expect is what a lease must have been issued for.
type Expect struct {
	LicenseKeyHash string // [HashLicenseKey] of the key that was asked about
	MetadataHash   string // [HashMetadata] of the metadata that was sent
	Issuer         string // the server; empty for any that holds the signing key
	Audience       string // the product; empty for any
	Subject        string // the membership; empty for any
}

// Clock is what a machine knows of the time, in milliseconds since 1970.
type Clock struct {
	NowMs      int64 // what its clock says
	LastSeenMs int64 // the latest time that it is known to have been; 0 where none is known
}

// Verify returns the claims of a lease that a server sent in answer to the
// request that carried nonce, or an [*Error]. nowMs is the machine's clock, in
// milliseconds since 1970. Without a nonce, or with none of the keys, every
// lease is refused.
//
// The times must hold: a lease is refused that is not valid at its own time of
// issue (nbf after iat, or exp not after it), that expired by this machine's
// clock, give or take [Drift], or that is issued or valid from more than
// [FreshDrift] ahead of it. The last is wide on purpose. The signed nonce
// proves that the lease is of this moment, so a lease from the future only
// shows that this machine's clock is slow, as that of a computer that takes
// local time for UTC is by hours; such a customer has a valid license. A fast
// clock is forgiven by as much as the lease still has to live.
func Verify(token string, keys []PublicKey, want Expect, nonce string, nowMs int64) (Claims, error) {
	c, err := open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	if err := want.check(c); err != nil {
		return Claims{}, err
	}
	switch {
	case nonce == "" || c.Nonce != nonce:
		return Claims{}, refuse(ReasonNonce, "the lease answers another request, so it may be an old one replayed; ask the server again")
	case nowMs < (c.IssuedAt-FreshDrift)*1000:
		return Claims{}, refuse(ReasonClock, "the lease was issued more than a day from now; set this machine's clock, or the server's")
	case nowMs >= (c.ExpiresAt+Drift)*1000:
		return Claims{}, refuse(ReasonExpired, "the lease had expired when it came; set this machine's clock, or the server's")
	}
	return c, nil
}

// StandIn returns the claims of a lease that may stand in for a server that
// can't be asked, or an [*Error]. The caller must have tried the server, or
// have a lease that is unexpired and recent, and must not have been told no.
//
// A lease stands in through [Claims.StandsInUntil], judged by the later of the
// two times of clock, so that turning a clock back within [Drift] gains
// nothing. It is refused with [ReasonClock] where the clock is behind the
// lease's time of issue, or behind the latest time seen, by more than [Drift].
// A lease refused so may serve again once the clock is right.
func StandIn(token string, keys []PublicKey, want Expect, clock Clock) (Claims, error) {
	c, err := open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	if err := want.check(c); err != nil {
		return Claims{}, err
	}
	switch {
	case clock.NowMs < (c.IssuedAt-Drift)*1000:
		return Claims{}, refuse(ReasonClock, "this machine's clock is behind the lease's time of issue; set the clock, or connect to the server")
	case clock.LastSeenMs > 0 && clock.NowMs < clock.LastSeenMs-Drift*1000:
		return Claims{}, refuse(ReasonClock, "this machine's clock was turned back; set the clock, or connect to the server")
	case max(clock.NowMs, clock.LastSeenMs) > c.StandsInUntil()*1000:
		return Claims{}, refuse(ReasonExpired, "the lease and its grace have run out; connect to the server to renew it")
	}
	return c, nil
}

// check holds the claims against what the lease must have been issued for, and
// against themselves.
func (want Expect) check(c Claims) error {
	switch {
	case want.Issuer != "" && c.Issuer != want.Issuer:
		return refuse(ReasonIssuer, "the lease is of another server; check that the endpoint is the right one")
	case want.Audience != "" && c.Audience != want.Audience:
		return refuse(ReasonAudience, "the lease is for another product; use a license key of this one")
	case want.Subject != "" && c.Subject != want.Subject:
		return refuse(ReasonSubject, "the lease is for another membership than the answer that it came with"+newLease)
	case c.LicenseKeyHash != want.LicenseKeyHash:
		return refuse(ReasonLicenseKey, "the lease is for another license key"+newLease)
	case c.MetadataHash != want.MetadataHash:
		return refuse(ReasonMetadata, "the lease is for another machine"+newLease)
	case c.NotBefore > c.IssuedAt:
		return refuse(ReasonNotYetValid, "the lease was not yet valid when it was issued; check the server's settings")
	case c.ExpiresAt <= c.IssuedAt:
		return refuse(ReasonExpired, "the lease had expired when it was issued; check the server's settings")
	}
	return nil
}
