package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/whop-license/whop-license/shared/license"
)

// bindTime returns how long a binding may take from the moment it may begin: a
// look-up, a write, and a look-up to confirm, with a second to spare.
func bindTime(upstreamTimeout time.Duration) time.Duration {
	return 3*upstreamTimeout + time.Second
}

// lockTime returns how long the right to bind lasts. It outlives [bindTime] by
// more than Redis may have taken to say that the right was given. It is also how
// long a license can't be bound when a gateway dies while it binds it.
func lockTime(upstreamTimeout time.Duration) time.Duration {
	return bindTime(upstreamTimeout) + 3*time.Second
}

// bind gives the license to the machine that asked, unless another was faster.
// Whop has no call that compares and writes at once, so one binding at a time
// looks, writes, and looks again.
func (g *gate) bind(ctx context.Context, q *query, seen look) (verdict, error) {
	turn, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	release, err := g.local.acquire(turn, seen.tag)
	if err != nil {
		return verdict{}, &busyError{"busy", 2 * time.Second, err}
	}
	leave := release
	defer func() { leave() }()
	// Whoever had the lock before has just looked.
	if l, ok := g.cache.latest(seen.tag); ok && l.asked.After(seen.asked) {
		if o, _ := g.judge(l.m, q.sent); o != outcomeFree {
			return verdict{o, l.m, "whop"}, nil
		}
	}
	// From here on to the end, even if the caller leaves: half a binding helps
	// nobody.
	ctx = context.WithoutCancel(ctx)
	held, err := g.exclusion.obtain(ctx, seen.tag)
	if err != nil {
		g.metrics.binding("refused")
		g.log.Warn("a license can't be bound now", "key", license.ShortenKey(q.key), "error", err.Error(), "cause", errors.Unwrap(err).Error())
		return verdict{}, err
	}
	unlock := func() { held.release(); release() }
	leave = unlock
	ctx, cancel = context.WithTimeout(ctx, g.bindTime)
	defer cancel()

	l, err := g.see(ctx, seen.m.id)
	if err != nil {
		return verdict{}, err
	}
	// A write whose answer was lost is tried again under the same key, so that it
	// is carried out once. A key is not used longer than that, as the same machine
	// may bind again after a reset.
	idempotencyKey := rand.Text()
	var written error
	for range 2 {
		o, whole := g.judge(l.m, q.sent)
		if o != outcomeFree {
			g.remember(l, seen)
			return verdict{o, l.m, "whop"}, nil
		}
		if err := held.confirm(ctx); err != nil {
			return verdict{}, err
		}
		written = g.whop.setMetadata(ctx, l.m.id, whole, idempotencyKey)
		if !declined(written) {
			// It may be carried out later than it is looked for. Unless it is seen,
			// nobody else may write until the lock has ended by itself, here and on
			// other gateways.
			if err := held.prolong(ctx); err != nil {
				g.log.Warn("a lock could not be prolonged; others can bind the license when it ends", "key", license.ShortenKey(q.key), "error", err.Error())
			}
			leave = func() { time.AfterFunc(g.lockTime, release) }
		}
		// Only a look tells what is stored now, also when the answer was lost.
		after, err := g.see(ctx, seen.m.id)
		if err := g.tell(ctx, seen.tag); err != nil {
			g.log.Warn("other gateways could not be told of a binding; they learn of it within --cache-ttl", "error", err.Error())
		}
		if err != nil {
			return verdict{}, err
		}
		if o, _ := g.judge(after.m, q.sent); o != outcomeFree {
			leave = unlock
			if o == outcomeMismatch && g.noteAltered(after.m, q, whole) {
				o = outcomeAltered
			}
			g.remember(after, seen)
			if o == outcomeValid {
				g.metrics.binding("bound")
				g.log.Info("bound a license to a machine", "key", license.ShortenKey(q.key), "membership", license.ShortenKey(seen.m.id))
			}
			return verdict{o, after.m, "bound"}, nil
		}
		var up *upstreamError
		if errors.As(written, &up) && !up.passing() {
			return verdict{}, written
		}
		if written == nil {
			idempotencyKey = rand.Text()
		}
		l = after
	}
	g.metrics.binding("lost")
	if written == nil {
		g.notices.license(slog.LevelError, seen.m.id, "Whop accepts a binding and does not store it, so the license can't be used; see whether its metadata can be changed on Whop's dashboard")
	}
	return verdict{}, unavailable(reasonNotStored, errors.New("the binding was not stored"))
}

// remember keeps what was seen of a membership.
func (g *gate) remember(l, seen look) {
	if l.m != nil {
		g.cache.putLatest(l)
	} else {
		g.cache.drop(seen.tag)
	}
}
