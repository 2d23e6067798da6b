package whop

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// BudgetPatience is how long a call waits for its share of the quota before it
// is given up.
const BudgetPatience = 1500 * time.Millisecond

// Budget holds the calls to Whop under its quota, which counts per operation.
type Budget interface {
	// Take waits a short while for one call's share of the quota. If the wait would
	// be over [BudgetPatience], it takes nothing and returns how long it would be.
	// Its error is the context's.
	Take(ctx context.Context, operation string) (wait time.Duration, err error)
}

// Bucket is the size of a token bucket that holds calls under a quota.
type Bucket struct {
	Burst  int // calls at once
	Refill int // calls a minute after that
}

// NewBucket returns the bucket for a quota of calls a minute. It holds a third of
// a minute's quota and refills with two thirds a minute, so it never lets more
// than the quota through in any minute.
func NewBucket(perMinute int) Bucket {
	burst := max(1, perMinute/3)
	return Bucket{burst, max(1, perMinute-burst)}
}

// Unlimited is the [Budget] where there is no quota.
type Unlimited struct{}

// Take lets every call through.
func (Unlimited) Take(context.Context, string) (time.Duration, error) { return 0, nil }

// localBudget is one gateway's own count.
type localBudget map[string]*rate.Limiter

// NewLocalBudget returns a [Budget] that one gateway counts for itself.
func NewLocalBudget(b Bucket) Budget {
	l := localBudget{}
	for _, op := range []operation{opLookUp, opWrite} {
		l[string(op)] = rate.NewLimiter(rate.Limit(b.Refill)/60, b.Burst)
	}
	return l
}

func (l localBudget) Take(ctx context.Context, operation string) (time.Duration, error) {
	r := l[operation].Reserve()
	wait := r.Delay()
	if wait > BudgetPatience {
		r.Cancel()
		return wait, nil
	}
	return 0, check.Sleep(ctx, wait)
}
