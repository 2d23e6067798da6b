package check

import (
	"context"
	"errors"
	"time"
)

// EndAllowance is how long past a membership's own end a license may still be
// good by a lease or an older look-up. It is room for clocks that differ and for
// a renewal that Whop tells of late.
const EndAllowance = time.Hour

// stale answers a query that Whop could not be asked about from an older look-up,
// for up to staleIfError. Apps that check leases send a nonce and are not
// answered so: their leases stand in, and nothing is signed on old knowledge.
//
// Only a license that was good, and that holds this machine, is answered for;
// and only while nothing has been learned of it since: a later answer of Whop's
// is what the cache then holds, and a webhook or another gateway's binding has
// dropped it. Where there are other gateways, this one has to have heard all
// that they told, so without Redis nothing stale is served.
func (c *Checker) stale(ctx context.Context, q *Query, err error) (Verdict, bool) {
	if c.staleIfError == 0 || q.KeepsLease || !unasked(err) {
		return Verdict{}, false
	}
	if _, ok := c.goodBefore(q); !ok {
		return Verdict{}, false
	}
	if c.peers.CatchUp(ctx) != nil {
		return Verdict{}, false
	}
	l, ok := c.goodBefore(q) // still, after what was heard meanwhile
	if !ok {
		return Verdict{}, false
	}
	c.metrics.AnsweredStale()
	c.staleLog.Do(func() {
		c.log.Warn("Whop can't be asked; licenses that were good when it last could stay good for apps that send no nonce", "for_at_most", c.staleIfError.String(), "error", err.Error())
	})
	return Verdict{Outcome: Valid, Membership: l.membership, Source: FromStale}, true
}

// unasked reports whether an error means that Whop could not be asked: that it
// is down or does not answer in time, that the circuit is open, that the quota
// is used up or Whop wants to be left alone (which strangers can bring about),
// that it refuses the API key, or that what came can't be read. All that says
// nothing about the license, and most of it is for the seller to mend.
//
// A client's or a license's own rate limit is none of these: whoever holds an
// ended license could use it up at will, so that Whop is never asked about it.
func unasked(err error) bool {
	var f Failure
	return errors.As(err, &f) && f.Unasked() && !errors.As(err, new(*BusyError))
}

// goodBefore returns the last look-up of the license if it was good for this
// machine then, is not too old, and its own end has not passed.
func (c *Checker) goodBefore(q *Query) (lookUp, bool) {
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

// tellRefusal lets the other gateways know that Whop was asked and a machine
// was told no, so that none of them says yes to it on older knowledge. They go
// on to cache as they did.
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
	// A gateway that can't be told has lost Redis, and then serves nothing stale;
	// or this one has.
	_ = c.peers.TellRefused(context.WithoutCancel(ctx), refused)
}
