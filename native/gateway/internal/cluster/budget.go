package cluster

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// LocalBudget counts calls to Whop within one gateway. [Budget] has the same
// methods.
type LocalBudget interface {
	// Take waits for one call's share of the quota, or returns how long the wait
	// would be if that is too long.
	Take(ctx context.Context, operation string) (wait time.Duration, err error)
	// Left returns how many calls may be made at once now.
	Left(ctx context.Context, count string) float64
	check.Strangers
}

// Limit is a token bucket for one count of calls.
type Limit struct {
	Burst  int // calls at once
	Refill int // calls per minute after that
}

// Budget counts the calls to Whop of all gateways of one seller, in Redis.
// While Redis can't be used, each gateway counts for itself; if several
// together exceed the quota, Whop's own 429 limits them.
type Budget struct {
	store     *Store
	limiter   *redis_rate.Limiter
	limits    map[string]redis_rate.Limit
	strangers string
	patience  time.Duration
	fallback  LocalBudget
}

// NewBudget returns a budget with a limit for each count. The count named
// strangers is for look-ups of unknown license keys. A call waits for its share
// for at most the given patience.
func NewBudget(s *Store, limits map[string]Limit, strangers string, patience time.Duration, fallback LocalBudget) *Budget {
	b := &Budget{
		store:     s,
		limiter:   redis_rate.NewLimiter(s.rdb),
		limits:    map[string]redis_rate.Limit{},
		strangers: strangers,
		patience:  patience,
		fallback:  fallback,
	}
	for count, l := range limits {
		b.limits[count] = redis_rate.Limit{Rate: l.Refill, Burst: l.Burst, Period: time.Minute}
	}
	return b
}

// allow takes n calls from a count, or none if there are fewer, and returns how
// many are left.
func (b *Budget) allow(ctx context.Context, count string, n int) (result *redis_rate.Result, err error) {
	err = b.store.do(ctx, func(ctx context.Context) (err error) {
		result, err = b.limiter.AllowN(ctx, b.store.prefix+"budget:"+count, b.limits[count], n)
		return err
	})
	return result, err
}

// Left returns how many calls may be made at once now.
func (b *Budget) Left(ctx context.Context, count string) float64 {
	result, err := b.allow(ctx, count, 0)
	if err != nil {
		return b.fallback.Left(ctx, count)
	}
	return float64(result.Remaining)
}

// Room returns 0 if unknown license keys may be looked up now, or how long
// until they may.
func (b *Budget) Room(ctx context.Context) time.Duration {
	result, err := b.allow(ctx, b.strangers, 0)
	switch {
	case err != nil:
		return b.fallback.Room(ctx)
	case result.Remaining > 0:
		return 0
	default:
		return time.Minute / time.Duration(b.limits[b.strangers].Rate)
	}
}

// Spend counts a look-up of an unknown license key.
func (b *Budget) Spend(ctx context.Context) {
	if _, err := b.allow(ctx, b.strangers, 1); err != nil {
		b.fallback.Spend(ctx)
	}
}

// Take waits for one call's share of the quota. If the wait would exceed the
// patience, it takes nothing and returns how long the wait would be. Its error
// is the context's.
func (b *Budget) Take(ctx context.Context, operation string) (wait time.Duration, err error) {
	deadline := time.Now().Add(b.patience)
	for {
		result, err := b.allow(ctx, operation, 1)
		switch {
		case err != nil:
			return b.fallback.Take(ctx, operation)
		case result.Allowed > 0:
			return 0, nil
		case time.Now().Add(result.RetryAfter).After(deadline):
			return result.RetryAfter, nil
		}
		if err := check.Sleep(ctx, result.RetryAfter); err != nil {
			return 0, err
		}
	}
}
