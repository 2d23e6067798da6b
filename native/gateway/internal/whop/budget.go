package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/time/rate"
)

// budgetPatience is how long a call waits for its share of the quota before it
// is given up.
const budgetPatience = 1500 * time.Millisecond

// budget holds the calls to Whop under its quota, which counts per operation.
type budget interface {
	// take waits a short while for one call's share, or returns an
	// [upstreamError] that says when to come back.
	take(ctx context.Context, op operation) error
}

// A bucket that holds a third of a minute's quota and refills with two thirds a
// minute never lets more than the quota through in any minute.
func budgetBurst(perMinute int) int  { return max(1, perMinute/3) }
func budgetRefill(perMinute int) int { return max(1, perMinute-budgetBurst(perMinute)) }

func overBudget(wait time.Duration) error {
	return &upstreamError{reason: "over_budget", retryAfter: wait, err: errors.New("the quota for calls to Whop is used up")}
}

// unlimited is for upstreams without a quota.
type unlimited struct{}

func (unlimited) take(context.Context, operation) error { return nil }

// localBudget is one gateway's own count.
type localBudget map[operation]*rate.Limiter

func newLocalBudget(perMinute int) localBudget {
	b := localBudget{}
	for _, op := range []operation{opLookUp, opWrite} {
		b[op] = rate.NewLimiter(rate.Limit(budgetRefill(perMinute))/60, budgetBurst(perMinute))
	}
	return b
}

func (b localBudget) take(ctx context.Context, op operation) error {
	r := b[op].Reserve()
	wait := r.Delay()
	if wait > budgetPatience {
		r.Cancel()
		return overBudget(wait)
	}
	return sleep(ctx, wait)
}

// sharedBudget is the count of all gateways of one seller, kept in Redis.
// Without Redis each gateway counts for itself; Whop's own 429 then holds
// what several together take too much.
type sharedBudget struct {
	store     *store
	limiter   *redis_rate.Limiter
	limit     redis_rate.Limit
	fallback  localBudget
	keyPrefix string
}

func newSharedBudget(s *store, perMinute int) *sharedBudget {
	return &sharedBudget{
		store:     s,
		limiter:   redis_rate.NewLimiter(s.rdb),
		limit:     redis_rate.Limit{Rate: budgetRefill(perMinute), Burst: budgetBurst(perMinute), Period: time.Minute},
		fallback:  newLocalBudget(perMinute),
		keyPrefix: s.prefix + "budget:",
	}
}

func (b *sharedBudget) take(ctx context.Context, op operation) error {
	deadline := time.Now().Add(budgetPatience)
	for {
		var result *redis_rate.Result
		err := b.store.do(ctx, func(ctx context.Context) (err error) {
			result, err = b.limiter.Allow(ctx, b.keyPrefix+string(op), b.limit)
			return err
		})
		switch {
		case err != nil:
			return b.fallback.take(ctx, op)
		case result.Allowed > 0:
			return nil
		case time.Now().Add(result.RetryAfter).After(deadline):
			return overBudget(result.RetryAfter)
		}
		if err := sleep(ctx, result.RetryAfter); err != nil {
			return err
		}
	}
}

// sleep waits, or returns an [upstreamError] when the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable("timeout", ctx.Err())
	}
}

// pause keeps calls back after Whop answered 429. The first such answer holds
// back only the license that it was about; a second one, about another license,
// shows that the whole account is meant.
type pause struct {
	mu    sync.Mutex
	until time.Time
	id    tag
	all   bool
}

func (p *pause) remaining(id tag, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all || p.id == id {
		return p.until.Sub(now)
	}
	return 0
}

func (p *pause) begin(id tag, now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := p.until.After(now)
	p.all = running && (p.all || p.id != id)
	p.id = id
	if until := now.Add(d); !running || until.After(p.until) {
		p.until = until
	}
}
