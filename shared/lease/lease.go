package lease

// Drift is how far a clock may be behind without losing its customer the lease:
// behind the lease's time of issue, or behind the latest time that was seen. A
// clock that is further behind can't be right, and the lease is refused.
const Drift Milliseconds = 5 * 60 * 1000

// Expect is what a lease must have been issued for.
type Expect struct {
	LicenseKeyHash string // [HashLicenseKey] of the key that was asked about
	MetadataHash   string // [HashMetadata] of the metadata that was sent
	Issuer         string // the server; empty for any that holds the signing key
	Audience       string // the product; empty for any
	Subject        string // the membership; empty for any
}

// Clock is what a machine knows of the time.
type Clock struct {
	Now Milliseconds // what its clock says
	// Skew is how far its clock was behind the server's time of issue when the
	// lease came; negative where it was ahead.
	Skew Milliseconds
	// LastSeen is the latest time that it is known to have been, by the clock
	// plus its skew; 0 where none is known.
	LastSeen Milliseconds
}

// maxClock bounds a clock and a skew, so that no sum overflows.
// It is far beyond the last time that a lease can hold, and as much as a
// JavaScript Date can.
const maxClock Milliseconds = 8_640_000_000_000_000

func clamp(ms Milliseconds) Milliseconds { return min(max(ms, -maxClock), maxClock) }

// Verify returns the claims of a lease that a server sent in answer to the
// request that carried nonce, or an [*Error]. Without a nonce, or with none of
// the keys, every lease is refused.
//
// No clock is asked: the signed nonce proves that the lease is of this moment,
// whatever this machine takes for the time. A lease is refused that is not
// valid at its own time of issue (nbf after iat, or exp not after it).
func Verify(token string, keys []PublicKey, want Expect, nonce string) (Claims, error) {
	c, err := openLease(token, keys, want)
	if err != nil {
		return Claims{}, err
	}
	if nonce == "" || c.Nonce != nonce {
		return Claims{}, leaseToken.refuse(ReasonNonce, otherNonce)
	}
	return c, nil
}

const otherNonce = " answers another request, so it may be an old one that was replayed"

// StandIn returns the claims of a lease that may stand in for a server of which
// no verdict is to be had, or an [*Error]. The caller must have tried the
// server, or have a lease that is [Claims.Unexpired], and must not have been
// told no.
//
// A lease stands in through [Claims.StandsInUntil], judged by the clock plus
// its skew, but never by an earlier time than the latest that was seen, so that
// turning a clock back within [Drift] gains nothing. It is refused with
// [ReasonClock] where the clock, corrected so, is behind the lease's time of
// issue, or behind the latest time seen, by more than [Drift]. A lease refused
// so may serve again once the clock is right. A clock that was ahead when the
// lease came and has been set right since is believed as it is, if it is behind
// neither without its skew and the lease holds by it.
func StandIn(token string, keys []PublicKey, want Expect, clock Clock) (Claims, error) {
	c, err := openLease(token, keys, want)
	if err != nil {
		return Claims{}, err
	}
	now, seen := c.judge(clock)
	switch {
	case now < Seconds(c.IssuedAt)-Drift:
		return Claims{}, leaseToken.refuse(ReasonClock, " was issued later than this machine's clock says it is; set the clock, or connect to the server")
	case seen > 0 && now < seen-Drift:
		return Claims{}, leaseToken.refuse(ReasonClock, " can't be judged, as this machine's clock was turned back or stood still; set the clock, or connect to the server")
	case max(now, seen) > Seconds(c.StandsInUntil()):
		return Claims{}, leaseToken.refuse(ReasonExpired, " and its grace have run out; connect to the server to renew it")
	}
	return c, nil
}

// Unexpired reports whether the lease has not expired, its grace left aside, by
// a clock with which it stands in.
func (c Claims) Unexpired(clock Clock) bool {
	now, seen := c.judge(clock)
	return max(now, seen) < Seconds(c.ExpiresAt)
}

// judge returns the time that the lease is judged by, and the latest time seen.
func (c Claims) judge(clock Clock) (now, seen Milliseconds) {
	raw, seen := clamp(clock.Now), clamp(clock.LastSeen)
	now = raw + clamp(clock.Skew)
	earliest := max(Seconds(c.IssuedAt), seen) - Drift
	if now < earliest && raw >= earliest && raw <= Seconds(c.StandsInUntil()) {
		now = raw
	}
	return now, seen
}

// openLease returns the claims of a lease that was signed for want.
func openLease(token string, keys []PublicKey, want Expect) (Claims, error) {
	payload, err := leaseToken.open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	c, err := readClaims(payload)
	if err != nil {
		return Claims{}, err
	}
	if err := want.check(c); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// check holds the claims against what the lease must have been issued for, and
// against themselves.
func (want Expect) check(c Claims) error {
	if err := want.checkRequest(leaseToken, c.Issuer, c.LicenseKeyHash, c.MetadataHash); err != nil {
		return err
	}
	switch {
	case want.Audience != "" && c.Audience != want.Audience:
		return leaseToken.refuse(ReasonAudience, " is for another product; use a license key of this one")
	case want.Subject != "" && c.Subject != want.Subject:
		return leaseToken.refuse(ReasonSubject, " is for another membership than the answer that it came with")
	case c.NotBefore > c.IssuedAt:
		return leaseToken.refuse(ReasonNotYetValid, " was not yet valid when it was issued; check the server's settings")
	case c.ExpiresAt <= c.IssuedAt:
		return leaseToken.refuse(ReasonExpired, " had expired when it was issued; check the server's settings")
	}
	return nil
}

// checkRequest holds what both kinds of token say against the request.
func (want Expect) checkRequest(k kind, issuer, licenseKeyHash, metadataHash string) error {
	switch {
	case want.Issuer != "" && issuer != want.Issuer:
		return k.refuse(ReasonIssuer, " is of another server")
	case licenseKeyHash != want.LicenseKeyHash:
		return k.refuse(ReasonLicenseKey, " is for another license key")
	case metadataHash != want.MetadataHash:
		return k.refuse(ReasonMetadata, " is for another machine")
	}
	return nil
}
