package check

import (
	"context"
	"errors"
	"time"
)

// EndAllowance is how long past a membership's own end a lease or an older
// look-up may still let a machine in. It allows for clock skew and for renewals
// that Whop reports late.
const EndAllowance = time.Hour

// stale answers a query from an older look-up if Whop could not be asked, for
// up to staleIfError. Apps that check leases send a nonce and get no such
// answer: their leases stand in, and nothing is signed on the basis of an old
// look-up. The license must have been valid on this machine, and nothing may
// have been learned about it since: a later answer from Whop would be in the
// cache in its place, and a webhook or another gateway's binding would have
// dropped it. If there are other gateways, this one must have received all
// their news, so without Redis nothing stale is served.
func (c *Checker) stale(ctx context.Context, q *Query, err error) (Verdict, bool) {
	if c.staleIfError == 0 || q.KeepsLease || !unasked(err) {
		return Verdict{}, false
	}
	if _, ok := c.lastValid(q); !ok {
		return Verdict{}, false
	}
	if c.peers.CatchUp(ctx) != nil {
		return Verdict{}, false
	}
	l, ok := c.lastValid(q) // still, after the news received meanwhile
	if !ok {
		return Verdict{}, false
	}
	c.metrics.AnsweredStale()
	c.staleLog.Do(func() {
		c.log.Warn("Whop can't be asked; licenses that were valid at their last look-up stay valid for apps that send no nonce", "for_at_most", c.staleIfError.String(), "error", err.Error())
	})
	return Verdict{Outcome: Valid, Membership: l.membership, Source: FromStale}, true
}

// unasked reports whether an error means that Whop could not be asked: it is
// down or does not answer in time, the circuit is open, the quota is used up or
// Whop asked for a pause (which strangers can cause), it refuses the API key,
// or its answer can't be read. None of that says anything about the license,
// and most of it only the seller can fix. A client's or a license's own rate
// limit is none of these: a customer whose license has ended could use it up on
// purpose, so that Whop is never asked about it.
func unasked(err error) bool {
	var f Failure
	return errors.As(err, &f) && f.Unasked() && !errors.As(err, new(*BusyError))
}

// lastValid returns the last look-up of the license if it was valid on this
// machine then, the look-up is not too old, and the license's own end has not
// passed.
func (c *Checker) lastValid(q *Query) (lookUp, bool) {
	l, ok := c.cache.get(q.keyTag)
	if !ok || time.Since(l.asked) >= c.staleIfError {
		return lookUp{}, false
	}
	if o, _ := c.judge(l.membership, q.Sent); o != Valid {
		return lookUp{}, false
	}
	if end := l.membership.EndsAt; end != nil && time.Since(time.Unix(*end, 0)) > EndAllowance {
		return lookUp{}, false
	}
	return l, !c.cache.refusedSince(l, q.keyTag, l.tag, c.machineTag(l.tag, q.Sent))
}

// tellRefusal tells the other gateways that Whop was asked and a machine was
// refused, so that none of them lets it in by an older look-up. Their caches
// stay as they are.
func (c *Checker) tellRefusal(ctx context.Context, q *Query, l lookUp, o Outcome) {
	if c.staleIfError == 0 {
		return
	}
	refused := l.tag // no machine may use the license
	switch {
	case l.membership == nil:
		refused = q.keyTag
	case o == Mismatch:
		refused = c.machineTag(l.tag, q.Sent)
	}
	// Either the other gateway has lost Redis, and then serves nothing stale, or
	// this one has.
	_ = c.peers.TellRefused(context.WithoutCancel(ctx), refused)
}
