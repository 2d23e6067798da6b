package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bsm/redislock"
)

// localLocks gives each membership to one binding at a time within a process.
type localLocks struct {
	mu   sync.Mutex
	held map[tag]*localLock
}

type localLock struct {
	turn  chan struct{} // holds one element while the lock is taken
	users int
}

func newLocalLocks() *localLocks { return &localLocks{held: map[tag]*localLock{}} }

// acquire waits for the lock and returns what releases it.
func (l *localLocks) acquire(ctx context.Context, t tag) (release func(), err error) {
	l.mu.Lock()
	lock, ok := l.held[t]
	if !ok {
		lock = &localLock{turn: make(chan struct{}, 1)}
		l.held[t] = lock
	}
	lock.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if lock.users--; lock.users == 0 {
			delete(l.held, t)
		}
	}
	select {
	case lock.turn <- struct{}{}:
		return func() { <-lock.turn; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// exclusion keeps other processes from binding the same membership.
type exclusion interface {
	// obtain waits for the right to bind, or returns a [busyError].
	obtain(ctx context.Context, t tag) (hold, error)
}

// hold is the right to bind one membership, for a limited time.
type hold interface {
	// confirm returns an error unless the right still holds.
	confirm(ctx context.Context) error
	// prolong gives it its whole time again.
	prolong(ctx context.Context) error
	release()
}

// busyError says that a license can't be bound now.
type busyError struct {
	reason     string
	retryAfter time.Duration
	err        error
}

func (e *busyError) Error() string { return "binding: " + e.reason }
func (e *busyError) Unwrap() error { return e.err }

// alone is the exclusion of a gateway that has no others beside it.
type alone struct{}

func (alone) obtain(context.Context, tag) (hold, error) { return alone{}, nil }
func (alone) confirm(context.Context) error             { return nil }
func (alone) prolong(context.Context) error             { return nil }
func (alone) release()                                  {}

// lockPatience is how long a gateway waits for another's binding.
const lockPatience = 5 * time.Second

// sharedLocks is the exclusion of several gateways, kept in Redis.
//
// A lock outlives the time within which its holder may write, so a holder that
// was killed or cut off has stopped writing before another can begin. Redis
// that lost its data has also lost its locks: a gateway that notices (the epoch
// has changed) binds nothing until every lock that it could have lost is over.
type sharedLocks struct {
	store  *store
	locker *redislock.Client
	ttl    time.Duration

	mu      sync.Mutex
	epoch   string
	settled time.Time // nothing is bound before
}

func newSharedLocks(s *store, ttl time.Duration) *sharedLocks {
	return &sharedLocks{store: s, locker: redislock.New(s.rdb), ttl: ttl}
}

// begin learns the epoch before anything is served. Where Redis does not
// answer, the first epoch seen later counts as a new one.
func (l *sharedLocks) begin(ctx context.Context) error {
	epoch, err := l.store.epoch(ctx)
	if err == nil {
		l.mu.Lock()
		l.epoch = epoch
		l.mu.Unlock()
	}
	return err
}

func (l *sharedLocks) obtain(ctx context.Context, t tag) (hold, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	var lock *redislock.Lock
	var asked time.Time
	for {
		asked = time.Now()
		err := l.store.do(ctx, func(ctx context.Context) (err error) {
			lock, err = l.locker.Obtain(ctx, l.store.prefix+"lock:"+t.String(), l.ttl, nil)
			if errors.Is(err, redislock.ErrNotObtained) {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, &busyError{"redis_down", 5 * time.Second, err}
		}
		if lock != nil {
			break
		}
		if err := sleep(ctx, 25*time.Millisecond); err != nil {
			return nil, &busyError{"busy", 2 * time.Second, err}
		}
	}
	// The lock may have begun when it was asked for, and the time within which its
	// holder may write is counted from the end of this.
	ctx, cancel = context.WithDeadline(ctx, asked.Add(2*redisTimeout))
	defer cancel()
	h := &sharedHold{locks: l, lock: lock}
	epoch, err := l.store.epoch(ctx)
	if err != nil {
		h.release()
		return nil, &busyError{"redis_down", 5 * time.Second, err}
	}
	if wait := l.unsettled(epoch, time.Now()); wait > 0 {
		h.release()
		return nil, &busyError{"redis_restarted", wait, errors.New("redis lost its data")}
	}
	return h, nil
}

// unsettled returns how long it takes until no lock can be left from before.
func (l *sharedLocks) unsettled(epoch string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != epoch {
		l.epoch = epoch
		l.settled = now.Add(l.ttl)
	}
	return l.settled.Sub(now)
}

type sharedHold struct {
	locks *sharedLocks
	lock  *redislock.Lock
}

func (h *sharedHold) confirm(ctx context.Context) error {
	var left time.Duration
	err := h.locks.store.do(ctx, func(ctx context.Context) (err error) {
		left, err = h.lock.TTL(ctx)
		return err
	})
	if err == nil && left <= 0 {
		err = redislock.ErrLockNotHeld
	}
	if err != nil {
		return &busyError{"lock_lost", 5 * time.Second, err}
	}
	return nil
}

func (h *sharedHold) prolong(ctx context.Context) error {
	return h.locks.store.do(ctx, func(ctx context.Context) error { return h.lock.Refresh(ctx, h.locks.ttl, nil) })
}

// release frees the lock at once; where that fails, it frees itself in time.
func (h *sharedHold) release() {
	_ = h.locks.store.do(context.Background(), func(ctx context.Context) error {
		if err := h.lock.Release(ctx); !errors.Is(err, redislock.ErrLockNotHeld) {
			return err
		}
		return nil
	})
}
