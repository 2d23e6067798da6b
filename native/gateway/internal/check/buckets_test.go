package check

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBuckets(t *testing.T) {
	b := newBuckets[string](60, 2)
	assert.Zero(t, b.exhausted("a"))
	b.charge("a")
	b.charge("a")
	b.charge("a")
	assert.Greater(t, b.exhausted("a"), time.Second, "in debt")
	assert.Zero(t, b.exhausted("b"))
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
		b.charge(fmt.Sprint(n))
	}
	assert.LessOrEqual(t, b.byKey.Len(), maxBuckets, "memory is bounded")
	none := newBuckets[string](0, 0)
	for range 100 {
		none.charge("a")
	}
	assert.Zero(t, none.exhausted("a"))
	_, ok = none.pace("a", 0)
	assert.True(t, ok)
}
