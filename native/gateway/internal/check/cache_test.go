package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

func TestNewerQuestionsWin(t *testing.T) {
	tags := tag.NewTagger("x")
	key, id := tags.Of("key", []byte("k")), tags.Of("membership", []byte("mem_1"))
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	old, recent := &Membership{ID: "mem_1", Status: "old"}, &Membership{ID: "mem_1", Status: "recent"}
	status := func(c *cache) string {
		l, ok := c.get(key)
		if !ok {
			return "none"
		}
		return l.membership.Status
	}
	c := newCache()
	c.put(key, lookUp{asked: at(2), membership: recent, tag: id})
	c.put(key, lookUp{asked: at(1), membership: old, tag: id})
	assert.Equal(t, "recent", status(c))
	c.drop(id)
	assert.Equal(t, "none", status(c))
	c.put(key, lookUp{asked: time.Now().Add(-time.Second), membership: old, tag: id})
	assert.Equal(t, "none", status(c), "asked before it was dropped")
	c.put(key, lookUp{asked: nextTick(), membership: recent, tag: id})
	assert.Equal(t, "recent", status(c))
	c.dropAll()
	assert.Equal(t, "none", status(c))
	c.put(key, lookUp{asked: time.Now().Add(-time.Second), membership: old, tag: id})
	assert.Equal(t, "none", status(c), "asked before all was dropped")
	c.put(key, lookUp{asked: nextTick(), membership: recent, tag: id})
	assert.Equal(t, "recent", status(c))
}

// nextTick waits until the clock has advanced, which takes milliseconds on some
// systems, and returns the time.
func nextTick() time.Time {
	start := time.Now()
	for {
		if now := time.Now(); now.After(start) {
			return now
		}
	}
}

func TestAgeIsThatOfTheOlderQuestion(t *testing.T) {
	tags := tag.NewTagger("x")
	key, id := tags.Of("key", []byte("k")), tags.Of("membership", []byte("mem_1"))
	c := newCache()
	first, second := time.Unix(1000, 0), time.Unix(2000, 0)
	c.put(key, lookUp{asked: first, membership: &Membership{}, tag: id})
	c.putLatest(lookUp{asked: second, membership: &Membership{Status: "recent"}, tag: id})
	l, ok := c.get(key)
	require.True(t, ok)
	assert.Equal(t, first, l.asked, "whose key it is was not asked again")
	assert.Equal(t, "recent", l.membership.Status)
}
