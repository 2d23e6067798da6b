package check

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

const (
	// maxCached is how many license keys, and how many memberships, are held.
	maxCached = 1 << 16
	// maxRefusalAge is how long the refusal of an unknown key, of an inactive
	// license or of a mismatch may be repeated without asking Whop.
	maxRefusalAge = 5 * time.Second
	// maxRepeats is how many machines one look-up may refuse. The next machine
	// causes a new look-up, so that someone who makes up machine ids runs into the
	// rate limits.
	maxRepeats = 100
)

// lookUp is the result of one look-up. It is as old as the question: whatever
// happened after Whop was asked may be missing from the answer.
type lookUp struct {
	asked      time.Time
	membership *Membership // nil: there is no such membership
	tag        tag.Tag     // of the membership
}

// cache holds the last look-ups of license keys and of memberships. The later
// question wins, in whatever order the answers arrive.
type cache struct {
	mu      sync.Mutex
	keys    *simplelru.LRU[tag.Tag, keyEntry]
	members *simplelru.LRU[tag.Tag, memberEntry]
	floor   time.Time // entries asked before this don't count

	// refused holds when other gateways said that Whop refused a license key, a
	// membership or a machine. When an entry is evicted, its time becomes
	// refusedFloor, which applies to every tag.
	refused      *simplelru.LRU[tag.Tag, time.Time]
	refusedFloor time.Time
}

type keyEntry struct {
	asked  time.Time
	known  bool
	member tag.Tag
}

type memberEntry struct {
	asked      time.Time
	membership *Membership // nil: dropped
	refusals   int         // how many machines were refused because of it
}

func newCache() *cache {
	c := new(cache)
	c.keys, _ = simplelru.NewLRU[tag.Tag, keyEntry](maxCached, nil)
	c.members, _ = simplelru.NewLRU[tag.Tag, memberEntry](maxCached, nil)
	c.refused, _ = simplelru.NewLRU(maxCached, func(_ tag.Tag, at time.Time) { c.refusedFloor = at })
	return c
}

// get returns what is known about a license key. It is as old as the older of
// two questions: which membership the key belongs to, and the state of that
// membership.
func (c *cache) get(key tag.Tag) (lookUp, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys.Get(key)
	if !ok || !k.asked.After(c.floor) {
		return lookUp{}, false
	}
	if !k.known {
		return lookUp{asked: k.asked}, true
	}
	member, ok := c.members.Get(k.member)
	if !ok || member.membership == nil || !member.asked.After(c.floor) {
		return lookUp{}, false
	}
	l := lookUp{asked: member.asked, membership: member.membership, tag: k.member}
	if k.asked.Before(l.asked) {
		l.asked = k.asked
	}
	return l, true
}

// latest returns the last look-up of a membership, by whatever key.
func (c *cache) latest(member tag.Tag) (lookUp, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Get(member)
	if !ok || e.membership == nil || !e.asked.After(c.floor) {
		return lookUp{}, false
	}
	return lookUp{asked: e.asked, membership: e.membership, tag: member}, true
}

// put records a look-up by license key.
func (c *cache) put(key tag.Tag, l lookUp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.keys.Peek(key); !ok || !old.asked.After(l.asked) {
		c.keys.Add(key, keyEntry{asked: l.asked, known: l.membership != nil, member: l.tag})
	}
	if l.membership != nil {
		c.putMember(l)
	}
}

// putLatest records a look-up by membership.
func (c *cache) putLatest(l lookUp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putMember(l)
}

func (c *cache) putMember(l lookUp) {
	if old, ok := c.members.Peek(l.tag); !ok || !old.asked.After(l.asked) {
		c.members.Add(l.tag, memberEntry{asked: l.asked, membership: l.membership})
	}
}

// refuse counts a machine that was refused because of a look-up.
func (c *cache) refuse(l lookUp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.members.Peek(l.tag); ok && e.asked.Equal(l.asked) {
		e.refusals++
		c.members.Add(l.tag, e)
	}
}

// repeat reports whether a look-up may refuse one more machine, and counts it.
// It may once it has refused a first machine, and at most maxRepeats times.
func (c *cache) repeat(l lookUp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Peek(l.tag)
	if !ok || e.membership != l.membership || e.refusals == 0 || e.refusals >= maxRepeats {
		return false
	}
	e.refusals++
	c.members.Add(l.tag, e)
	return true
}

// outdated reports whether something newer than a look-up has been learned.
func (c *cache) outdated(l lookUp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Peek(l.tag)
	return !l.asked.After(c.floor) || ok && e.asked.After(l.asked)
}

// drop forgets a membership. The result of a look-up that is in flight won't be
// kept either.
func (c *cache) drop(member tag.Tag) {
	c.putLatest(lookUp{asked: time.Now(), tag: member})
}

// dropAll forgets everything. The results of look-ups that are in flight won't
// be kept either.
func (c *cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = time.Now()
	c.keys.Purge()
	c.members.Purge()
}

// refusedElsewhere records that another gateway learned of a refusal of a
// license key, a membership or a machine.
func (c *cache) refusedElsewhere(t tag.Tag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused.Add(t, time.Now())
}

// refusedSince reports whether another gateway may have learned of a refusal of
// any of these since a look-up.
func (c *cache) refusedSince(l lookUp, tags ...tag.Tag) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.asked.After(c.refusedFloor) {
		return true
	}
	for _, t := range tags {
		if at, ok := c.refused.Peek(t); ok && !l.asked.After(at) {
			return true
		}
	}
	return false
}
