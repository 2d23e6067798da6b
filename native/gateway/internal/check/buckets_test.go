package check

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBuckets(t *testing.T) {
	b := newBuckets[string](60, 2)
	assert.Zero(t, b.exhausted("a", 1))
	b.charge("a", 1)
	b.charge("a", 1)
	b.charge("a", 1)
	assert.Greater(t, b.exhausted("a", 1), time.Second, "in debt")
	assert.Zero(t, b.exhausted("b", 1))
	for range 3 {
		b.charge("twice", 2)
	}
	assert.Zero(t, b.exhausted("twice", 2))
	began := time.Now()
	wait, ok := b.pace("c", 0)
	assert.True(t, ok)
	assert.Zero(t, wait)
	_, _ = b.pace("c", 0)
	wait, ok = b.pace("c", 5*time.Second)
	assert.True(t, ok, "put off")
	assert.LessOrEqual(t, wait, time.Second)
	assert.Greater(t, wait+time.Since(began), 999*time.Millisecond)
	_, ok = b.pace("c", time.Second)
	assert.False(t, ok)
	for n := range 2 * maxBuckets {
		b.charge(fmt.Sprint(n), 1)
	}
	assert.LessOrEqual(t, b.byKey.Len(), maxBuckets, "memory is bounded")
	none := newBuckets[string](0, 0)
	for range 100 {
		none.charge("a", 1)
	}
	assert.Zero(t, none.exhausted("a", 1))
	_, ok = none.pace("a", 0)
	assert.True(t, ok)
}
