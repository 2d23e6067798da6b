package cluster

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// LocalBudget counts calls to Whop within one gateway. [Budget] has the same
// method.
type LocalBudget interface {
	// Take waits for one call's share of the quota, or returns how long the wait
	// would be where that is too long.
	Take(ctx context.Context, operation string) (wait time.Duration, err error)
}

// Budget counts the calls to Whop of all gateways of one seller, in Redis. Without
// Redis each gateway counts for itself; Whop's own 429 then holds what several
// together take too much.
type Budget struct {
	store    *Store
	limiter  *redis_rate.Limiter
	limit    redis_rate.Limit
	patience time.Duration
	fallback LocalBudget
}

// NewBudget returns a budget that allows burst calls of each operation at once
// and refill calls a minute after that. A call waits for its share for at most
// the given patience.
func NewBudget(s *Store, burst, refill int, patience time.Duration, fallback LocalBudget) *Budget {
	return &Budget{
		store:    s,
		limiter:  redis_rate.NewLimiter(s.rdb),
		limit:    redis_rate.Limit{Rate: refill, Burst: burst, Period: time.Minute},
		patience: patience,
		fallback: fallback,
	}
}

// Take waits for one call's share of the quota, or takes nothing and returns how
// long the wait would be where that is longer than the patience. Its error is
// the context's.
func (b *Budget) Take(ctx context.Context, operation string) (wait time.Duration, err error) {
	deadline := time.Now().Add(b.patience)
	for {
		var result *redis_rate.Result
		err := b.store.do(ctx, func(ctx context.Context) (err error) {
			result, err = b.limiter.Allow(ctx, b.store.prefix+"budget:"+operation, b.limit)
			return err
		})
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
