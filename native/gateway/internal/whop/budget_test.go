package whop

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In any minute there are no more calls than the quota has.
func TestBudgetNeverExceedsTheQuota(t *testing.T) {
	for quota := 10; quota < 2000; quota += 7 {
		b := NewBucket(quota)
		require.LessOrEqual(t, b.Burst+b.Refill, quota)
		require.Positive(t, b.Burst)
		require.Positive(t, b.Refill)
	}
}

func TestBudgetCountsOperationsApart(t *testing.T) {
	b := NewLocalBudget(60)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing waits
	take := func(op operation) bool {
		wait, err := b.Take(ctx, string(op))
		return wait == 0 && err == nil
	}
	taken := 0
	for take(opLookUp) {
		taken++
	}
	assert.Equal(t, NewBucket(60).Burst, taken, "the next one would have to wait")
	assert.True(t, take(opWrite))
}
