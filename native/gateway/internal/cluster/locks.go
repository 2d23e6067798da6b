package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bsm/redislock"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Locks is the [check.Exclusion] of several gateways, kept in Redis. A lock
// outlives the time within which its holder may write, so a holder that was
// killed or cut off has stopped writing before another can begin. If Redis
// loses its data, it loses its locks too. A gateway notices this by the epoch,
// and then binds nothing until every lost lock would have expired.
type Locks struct {
	store  *Store
	locker *redislock.Client
	ttl    time.Duration

	mu      sync.Mutex
	epoch   string
	settled time.Time // nothing is bound before
}

// NewLocks returns locks that last ttl each, unless they are extended or
// released.
func NewLocks(s *Store, ttl time.Duration) *Locks {
	return &Locks{store: s, locker: redislock.New(s.rdb), ttl: ttl}
}

// Begin reads the epoch before anything is served. If Redis does not answer,
// the first epoch seen later counts as a new one.
func (l *Locks) Begin(ctx context.Context) error {
	epoch, err := l.store.epoch(ctx)
	if err == nil {
		l.mu.Lock()
		l.epoch = epoch
		l.mu.Unlock()
	}
	return err
}

// Obtain waits for the right to bind a membership. Its error is a
// [*check.BusyError].
func (l *Locks) Obtain(ctx context.Context, member tag.Tag) (check.Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, check.LockPatience)
	defer cancel()
	lock, asked, err := l.wait(ctx, member)
	if err != nil {
		return nil, err
	}
	// The lock may have begun when it was requested, but the holder's time to write
	// begins when Obtain returns. So the time between the two is bounded.
	ctx, cancel = context.WithDeadline(ctx, asked.Add(2*Timeout))
	defer cancel()
	h := &hold{locks: l, lock: lock}
	epoch, err := l.store.epoch(ctx)
	if err != nil {
		h.Release()
		return nil, &check.BusyError{Kind: check.RedisDown, RetryAfter: 5 * time.Second, Cause: err}
	}
	if wait := l.unsettled(epoch, time.Now()); wait > 0 {
		h.Release()
		return nil, &check.BusyError{Kind: check.RedisRestarted, RetryAfter: wait, Cause: errors.New("redis lost its data")}
	}
	return h, nil
}

// wait requests the lock until it is granted, and returns when it was
// requested.
func (l *Locks) wait(ctx context.Context, member tag.Tag) (lock *redislock.Lock, asked time.Time, err error) {
	for {
		asked = time.Now()
		err := l.store.do(ctx, func(ctx context.Context) (err error) {
			lock, err = l.locker.Obtain(ctx, l.store.prefix+"lock:"+member.String(), l.ttl, nil)
			if errors.Is(err, redislock.ErrNotObtained) {
				return nil
			}
			return err
		})
		if err != nil && ctx.Err() == nil { // otherwise the patience ended while Redis was asked
			return nil, asked, &check.BusyError{Kind: check.RedisDown, RetryAfter: 5 * time.Second, Cause: err}
		}
		if lock != nil {
			return lock, asked, nil
		}
		if err := check.Sleep(ctx, 25*time.Millisecond); err != nil {
			return nil, asked, &check.BusyError{Kind: check.Busy, RetryAfter: 2 * time.Second, Cause: err}
		}
	}
}

// unsettled returns how long it takes until every lock of an earlier epoch has
// expired.
func (l *Locks) unsettled(epoch string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != epoch {
		l.epoch = epoch
		l.settled = now.Add(l.ttl)
	}
	return l.settled.Sub(now)
}

// hold is a lock that was granted.
type hold struct {
	locks *Locks
	lock  *redislock.Lock
}

// Confirm returns a [*check.BusyError] unless the lock is still this gateway's.
func (h *hold) Confirm(ctx context.Context) error {
	var left time.Duration
	err := h.locks.store.do(ctx, func(ctx context.Context) (err error) {
		left, err = h.lock.TTL(ctx)
		return err
	})
	if err == nil && left <= 0 {
		err = redislock.ErrLockNotHeld
	}
	if err != nil {
		return &check.BusyError{Kind: check.LockLost, RetryAfter: 5 * time.Second, Cause: err}
	}
	return nil
}

// Extend makes the lock last its full time from now on.
func (h *hold) Extend(ctx context.Context) error {
	return h.locks.store.do(ctx, func(ctx context.Context) error { return h.lock.Refresh(ctx, h.locks.ttl, nil) })
}

// Release releases the lock at once. If that fails, the lock expires by itself.
func (h *hold) Release() {
	_ = h.locks.store.do(context.Background(), func(ctx context.Context) error {
		if err := h.lock.Release(ctx); !errors.Is(err, redislock.ErrLockNotHeld) {
			return err
		}
		return nil
	})
}
