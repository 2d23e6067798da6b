package main

import (
	"context"
	"errors"
	"time"
)

// stale answers a query that Whop could not be asked about from what was seen
// before, for up to staleIfError. Apps that check leases send a nonce and are
// not answered so: their leases stand in, and nothing is signed on old
// knowledge.
//
// Only a license that was good, and that holds this machine, is answered for;
// and only while nothing has been learned of it since: a later answer of Whop's
// is what the cache then holds, and a webhook or another gateway's binding has
// dropped it. Where there are other gateways, this one has to have heard all
// that they told, so without Redis nothing stale is served.
func (g *gate) stale(ctx context.Context, q *query, err error) (verdict, bool) {
	if g.staleIfError == 0 || q.nonce != "" || !unasked(err) {
		return verdict{}, false
	}
	if _, ok := g.goodBefore(q); !ok {
		return verdict{}, false
	}
	if g.store != nil && g.store.catchUp(ctx) != nil {
		return verdict{}, false
	}
	l, ok := g.goodBefore(q) // still, after what was heard meanwhile
	if !ok {
		return verdict{}, false
	}
	g.metrics.stale.Inc()
	g.staleLog.Do(func() {
		g.log.Warn("Whop can't be asked; licenses that were good when it last could stay good for apps that send no nonce", "for_at_most", g.staleIfError.String(), "error", err.Error())
	})
	return verdict{outcome: outcomeValid, m: l.m, source: "stale"}, true
}

// unasked reports whether an error means that Whop could not be asked: that it
// is down or does not answer in time, that the circuit is open, that the quota
// is used up or Whop wants to be left alone (which strangers can bring about),
// that it refuses the API key, or that what came can't be read. All that says
// nothing about the license, and most of it is for the seller to mend.
//
// A client's or a license's own limit is none of these: whoever holds an ended
// license could use it up at will, to be never asked about.
func unasked(err error) bool {
	var up *upstreamError
	return errors.As(err, &up) && up.reason.unasked() && !errors.As(err, new(*busyError))
}

// goodBefore returns the last look at the license if it was good for this
// machine then, is not too old, and its own end has not passed.
func (g *gate) goodBefore(q *query) (look, bool) {
	l, ok := g.cache.get(q.keyTag)
	if !ok || time.Since(l.asked) >= g.staleIfError {
		return look{}, false
	}
	if o, _ := g.judge(l.m, q.sent); o != outcomeValid {
		return look{}, false
	}
	if end := l.m.end(); end != nil && time.Since(time.Unix(*end, 0)) > endAllowance {
		return look{}, false
	}
	return l, !g.cache.refusedSince(l, q.keyTag, l.tag, g.machine(l.tag, q))
}

// tellRefusal lets the other gateways know that Whop was asked and a machine
// was told no, so that none of them says yes to it on older knowledge. They go
// on to cache as they did.
func (g *gate) tellRefusal(ctx context.Context, q *query, l look, o outcome) {
	if g.store == nil || g.staleIfError == 0 {
		return
	}
	refused := l.tag // no machine may use the license
	switch {
	case l.m == nil:
		refused = q.keyTag
	case o == outcomeMismatch:
		refused = g.machine(l.tag, q)
	}
	// A gateway that can't be told has lost Redis, and then serves nothing stale;
	// or this one has.
	_ = g.store.tellRefused(context.WithoutCancel(ctx), refused)
}
