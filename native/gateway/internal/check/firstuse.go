package check

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/shared/license"
)

// LockPatience is how long a first use waits for another one of the same
// license, once within this gateway and once for the other gateways.
const LockPatience = 5 * time.Second

// BindTime returns how long a binding may take once it holds the lock: a
// look-up, a write, and a look-up to confirm, with a second to spare.
func BindTime(upstreamTimeout time.Duration) time.Duration {
	return 3*upstreamTimeout + time.Second
}

// LockTime returns how long the right to bind lasts. It exceeds [BindTime] by
// more than Redis may take to answer that the lock was obtained. It is also how
// long a license can't be bound after a gateway dies while binding it.
func LockTime(upstreamTimeout time.Duration) time.Duration {
	return BindTime(upstreamTimeout) + 3*time.Second
}

// LongestCheck returns how long a check can take.
func LongestCheck(upstreamTimeout time.Duration) time.Duration {
	return answerTime + LockPatience + LockTime(upstreamTimeout)
}

// firstUse binds a license to the machine that asked, unless another was
// faster. Whop has no atomic compare-and-set, so one first use at a time looks
// again, writes, and determines the result by a further look-up.
type firstUse struct {
	*Checker
	query *Query
	seen  lookUp // the look-up that found a free place
	turn  *turn  // excludes this gateway's other first uses of the license
	hold  Hold   // excludes those of other gateways

	// pending says that a write is not visible yet and may still be carried out.
	// Until the right to bind expires, nobody else may write, here or on other
	// gateways.
	pending bool

	// A write whose answer was lost is repeated under the same key, so that it is
	// carried out once. The next write gets a new key, as the same machine may bind
	// again after a reset.
	idempotencyKey string
	written        error // the result of the last write
}

// bind lets a query's machine use a license for the first time.
func (c *Checker) bind(ctx context.Context, q *Query, seen lookUp) (Verdict, error) {
	u := &firstUse{Checker: c, query: q, seen: seen, hold: Alone{}}
	if err := u.waitForTurn(ctx); err != nil {
		return Verdict{}, err
	}
	defer u.leave()
	// Whoever had the turn before has just looked the license up.
	if latest, ok := c.cache.latest(seen.tag); ok && latest.asked.After(seen.asked) {
		if o, _ := c.judge(latest.membership, q.Sent); o != unbound {
			return Verdict{o, latest.membership, FromWhop}, nil
		}
	}
	// From here on, the binding is finished even if the caller goes away: half a
	// binding helps nobody.
	ctx = context.WithoutCancel(ctx)
	if err := u.excludeOthers(ctx); err != nil {
		return Verdict{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, BindTime(c.upstreamTimeout))
	defer cancel()
	return u.lookAndWrite(ctx)
}

// waitForTurn takes this gateway's turn for the license.
func (u *firstUse) waitForTurn(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, LockPatience)
	defer cancel()
	if u.turn, err = u.turns.acquire(ctx, u.seen.tag); err != nil {
		return &BusyError{Busy, 2 * time.Second, err}
	}
	return nil
}

// excludeOthers obtains the right to bind the license among all gateways.
func (u *firstUse) excludeOthers(ctx context.Context) error {
	hold, err := u.exclusion.Obtain(ctx, u.seen.tag)
	if err != nil {
		u.metrics.Bound("refused")
		u.log.Warn("a license can't be bound now", "key", license.ShortenKey(u.query.Key), "error", err.Error(), "cause", errors.Unwrap(err))
		return err
	}
	u.hold = hold
	return nil
}

// leave releases the lock and the turn. While a write is pending, it lets them
// expire instead.
func (u *firstUse) leave() {
	if u.pending {
		time.AfterFunc(LockTime(u.upstreamTimeout), u.turn.release)
		return
	}
	u.hold.Release()
	u.turn.release()
}

// lookAndWrite looks again and writes, twice if necessary, until it is certain
// which machine has the license.
func (u *firstUse) lookAndWrite(ctx context.Context) (Verdict, error) {
	now, err := u.lookAgain(ctx)
	if err != nil {
		return Verdict{}, err
	}
	u.idempotencyKey = rand.Text()
	for range 2 {
		o, whole := u.judge(now.membership, u.query.Sent)
		if o != unbound {
			u.remember(now)
			return Verdict{o, now.membership, FromWhop}, nil
		}
		if err := u.write(ctx, whole); err != nil {
			return Verdict{}, err
		}
		// Only a look-up tells what is stored now, even if the write's answer was lost.
		now, err = u.lookAgain(ctx)
		u.tellOthers(ctx)
		if err != nil {
			return Verdict{}, err
		}
		if v, ok := u.settle(now, whole); ok {
			return v, nil
		}
		var f Failure
		if errors.As(u.written, &f) && !f.Transient() {
			return Verdict{}, u.written
		}
		if u.written == nil {
			u.idempotencyKey = rand.Text()
		}
	}
	return Verdict{}, u.giveUp()
}

// lookAgain looks the membership up by its id.
func (u *firstUse) lookAgain(ctx context.Context) (lookUp, error) {
	return u.lookUpNow(ctx, u.seen.membership.ID)
}

// write stores the metadata that binds the license to the machine, unless the
// right to bind has expired. The write's result is in u.written.
func (u *firstUse) write(ctx context.Context, whole binding.Metadata) error {
	if err := u.hold.Confirm(ctx); err != nil {
		return err
	}
	u.written = u.whop.SetMetadata(ctx, u.seen.membership.ID, whole, u.idempotencyKey)
	if !mayBeCarriedOut(u.written) {
		return nil
	}
	u.pending = true
	if err := u.hold.Extend(ctx); err != nil {
		u.log.Warn("a lock could not be extended; others can bind the license once it expires", "key", license.ShortenKey(u.query.Key), "error", err.Error())
	}
	return nil
}

// tellOthers tells the other gateways that the membership has changed.
func (u *firstUse) tellOthers(ctx context.Context) {
	if err := u.peers.TellChanged(ctx, u.seen.tag); err != nil {
		u.log.Warn("other gateways could not be told of a binding; they learn of it within --cache-ttl", "error", err.Error())
	}
}

// settle returns the verdict of a look-up after the write, unless the place
// still looks free.
func (u *firstUse) settle(now lookUp, whole binding.Metadata) (v Verdict, settled bool) {
	o, _ := u.judge(now.membership, u.query.Sent)
	if o == unbound {
		return Verdict{}, false
	}
	u.pending = false
	if o == Mismatch && u.noteAltered(now.membership, u.query, whole) {
		o = altered
	}
	u.remember(now)
	if o == Valid {
		u.metrics.Bound("bound")
		u.audit.Bound(u.query.Key, u.seen.membership.ID, u.rules.PlaceOf(now.membership.Metadata, u.query.Sent), u.query.Sent)
		u.log.Info("bound a license to a machine", "key", license.ShortenKey(u.query.Key), "membership", license.ShortenKey(u.seen.membership.ID))
	}
	return Verdict{o, now.membership, FromBound}, true
}

// giveUp reports that no write was stored.
func (u *firstUse) giveUp() error {
	u.metrics.Bound("lost")
	if u.written == nil {
		u.notices.License(slog.LevelError, u.seen.membership.ID, "Whop accepts a binding but does not store it, so the license can't be used; check whether its metadata can be changed in Whop's dashboard")
	}
	return &undecided{kind: notStored, err: errors.New("the binding was not stored")}
}

// remember keeps the last look-up of the membership.
func (u *firstUse) remember(now lookUp) {
	if now.membership != nil {
		u.cache.putLatest(now)
	} else {
		u.cache.drop(u.seen.tag)
	}
}
