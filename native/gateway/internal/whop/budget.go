package whop

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// BudgetPatience is the longest time that a call waits for its share of the
// quota.
const BudgetPatience = 1500 * time.Millisecond

// Budget keeps the calls to Whop within its quota, which counts per operation.
type Budget interface {
	// Take waits for one call's share of the quota. If the wait would exceed
	// [BudgetPatience], it takes nothing and returns how long the wait would be.
	// Its error is the context's.
	Take(ctx context.Context, operation string) (wait time.Duration, err error)
}

// Bucket is the size of a token bucket that keeps calls within a quota.
type Bucket struct {
	Burst  int // calls at once
	Refill int // calls per minute after that
}

// NewBucket returns the bucket for a quota of calls per minute. It holds a
// third of the quota and refills with two thirds per minute, so it never lets
// more than the quota through in any minute.
func NewBucket(perMinute int) Bucket {
	burst := max(1, perMinute/3)
	return Bucket{burst, max(1, perMinute-burst)}
}

// BucketOf returns the bucket for one of the [Counts] under a quota of calls
// per minute. Unknown license keys may use half of it; the rest is reserved for
// those that were seen valid.
func BucketOf(count string, perMinute int) Bucket {
	if count == Strangers {
		return NewBucket(perMinute / 2)
	}
	return NewBucket(perMinute)
}

// Unlimited is the [Budget] and the [check.Strangers] without a quota.
type Unlimited struct{}

// Take lets every call through.
func (Unlimited) Take(context.Context, string) (time.Duration, error) { return 0, nil }

// Room always returns 0.
func (Unlimited) Room(context.Context) time.Duration { return 0 }

// Spend counts nothing.
func (Unlimited) Spend(context.Context) {}

// LocalBudget is one gateway's own quota, by operation. It is a [Budget] and a
// [check.Strangers].
type LocalBudget map[string]*rate.Limiter

// Counts lists what a quota counts separately: the operations, and the look-ups
// of license keys that turned out to be unknown.
var Counts = []string{string(opLookUp), string(opWrite), Strangers}

// Strangers is the count of look-ups of license keys that turned out to be unknown.
const Strangers = "look_up_unknown"

// NewLocalBudget returns a budget with a quota of calls per minute.
func NewLocalBudget(perMinute int) LocalBudget {
	l := LocalBudget{}
	for _, count := range Counts {
		b := BucketOf(count, perMinute)
		l[count] = rate.NewLimiter(rate.Limit(b.Refill)/60, b.Burst)
	}
	return l
}

// Left returns how many calls may be made at once now.
func (l LocalBudget) Left(_ context.Context, count string) float64 { return max(0, l[count].Tokens()) }

// Room returns 0 if unknown license keys may be looked up now, or how long
// until they may.
func (l LocalBudget) Room(context.Context) time.Duration {
	if tokens := l[Strangers].Tokens(); tokens < 1 {
		return time.Duration((1 - tokens) / float64(l[Strangers].Limit()) * float64(time.Second))
	}
	return 0
}

// Spend counts a look-up of an unknown license key, going into debt if
// necessary.
func (l LocalBudget) Spend(context.Context) { l[Strangers].Reserve() }

// Take waits for one call's share of the quota, or returns how long the wait
// would be if that is too long.
func (l LocalBudget) Take(ctx context.Context, operation string) (time.Duration, error) {
	r := l[operation].Reserve()
	wait := r.Delay()
	if wait > BudgetPatience {
		r.Cancel()
		return wait, nil
	}
	return 0, check.Sleep(ctx, wait)
}
