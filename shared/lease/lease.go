package lease

// Drift is how far a clock may be behind without losing its customer the lease:
// behind the lease's time of issue, or behind the latest time that was seen. A
// clock that is further behind can't be right, and the lease is refused.
const Drift Milliseconds = 5 * 60 * 1000

// Expect is what a token must have been signed for.
type Expect struct {
	LicenseKeyHash string // [HashLicenseKey] of the license key in the request
	MetadataHash   string // [HashMetadata] of the machine id in the request
	Issuer         string // the server; empty accepts any that holds one of the keys
	Audience       string // the product; empty accepts any
	Subject        string // the membership; empty accepts any
}

// Clock is what a machine knows of the time.
type Clock struct {
	Now Milliseconds // what its clock says
	// Skew is how far its clock was behind the server's when the lease came;
	// negative if it was ahead.
	Skew Milliseconds
	// LastSeen is the latest time that was seen, by the clock plus its skew, or 0
	// if none is known.
	LastSeen Milliseconds
}

// maxClock bounds a clock and a skew, so that no sum overflows.
// It is far beyond the last time that a lease can hold, and as much as a
// JavaScript Date can.
const maxClock Milliseconds = 8_640_000_000_000_000

func clamp(ms Milliseconds) Milliseconds { return min(max(ms, -maxClock), maxClock) }

// Verify returns the claims of a lease that a server sent in response to the request
// that carried nonce, or an [*Error]. Without a nonce or keys, it refuses every lease.
//
// Verify needs no clock: the signed nonce proves that the lease is new, whatever time
// this machine thinks it is. It refuses a lease that was not valid when it was issued
// (nbf is after iat, or exp is not).
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

// StandIn returns the claims of a stored lease that may stand in for the server, or
// an [*Error]. Use it if the server gave no verdict, or instead of asking the server
// if the lease is [Claims.Unexpired], and never after a refusal.
//
// The lease stands in through [Claims.StandsInUntil], by the clock plus its skew. If
// the latest time that was seen is later than that, it counts instead, so that
// turning a clock back by less than [Drift] gains nothing. If the clock plus its skew
// is behind the lease's time of issue, or behind the latest time seen, by more than
// Drift, the lease is refused with [ReasonClock]. It may stand in again once the clock
// is right.
//
// There is one exception, for a clock that was ahead when the lease came and has been
// set right since: without its skew, the clock is behind neither of the two by more
// than Drift, and the lease holds. Then the clock counts without its skew.
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

// Unexpired reports whether a lease that stands in has not expired. Its grace doesn't
// count.
func (c Claims) Unexpired(clock Clock) bool {
	now, seen := c.judge(clock)
	return max(now, seen) < Seconds(c.ExpiresAt)
}

// judge returns what the clock says, with its skew if that counts, and the latest time
// seen.
func (c Claims) judge(clock Clock) (now, seen Milliseconds) {
	raw, seen := clamp(clock.Now), clamp(clock.LastSeen)
	now = raw + clamp(clock.Skew)
	earliest := max(Seconds(c.IssuedAt), seen) - Drift
	if now < earliest && raw >= earliest && raw <= Seconds(c.StandsInUntil()) {
		now = raw
	}
	return now, seen
}

// openLease returns the claims of a lease that was signed for what want says.
func openLease(token string, keys []PublicKey, want Expect) (Claims, error) {
	payload, err := leaseToken.open(token, keys)
	if err != nil {
		return Claims{}, err
	}
	c, err := readClaims(payload)
	if err != nil {
		return Claims{}, err
	}
	if err := want.matchLease(c); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// matchLease compares the claims with what the lease must have been signed for, and
// with each other.
func (want Expect) matchLease(c Claims) error {
	if err := want.matchRequest(leaseToken, c.Issuer, c.LicenseKeyHash, c.MetadataHash); err != nil {
		return err
	}
	switch {
	case want.Audience != "" && c.Audience != want.Audience:
		return leaseToken.refuse(ReasonAudience, " is for another product; use a license key of this one")
	case want.Subject != "" && c.Subject != want.Subject:
		return leaseToken.refuse(ReasonSubject, " is for another membership than the response that it came with")
	case c.NotBefore > c.IssuedAt:
		return leaseToken.refuse(ReasonNotYetValid, " was not yet valid when it was issued; check the server's settings")
	case c.ExpiresAt <= c.IssuedAt:
		return leaseToken.refuse(ReasonExpired, " had expired when it was issued; check the server's settings")
	}
	return nil
}

// matchRequest compares the claims that both kinds of token have with the request.
func (want Expect) matchRequest(k kind, issuer, licenseKeyHash, metadataHash string) error {
	switch {
	case want.Issuer != "" && issuer != want.Issuer:
		return k.refuse(ReasonIssuer, " is from another server")
	case licenseKeyHash != want.LicenseKeyHash:
		return k.refuse(ReasonLicenseKey, " is for another license key")
	case metadataHash != want.MetadataHash:
		return k.refuse(ReasonMetadata, " is for another machine")
	}
	return nil
}
