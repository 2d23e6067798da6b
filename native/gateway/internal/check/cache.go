package main

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// maxCached is how many license keys, and how many memberships, are held.
	maxCached = 1 << 16
	// maxRefusalAge is how long an unknown key, a license without entitlement or
	// a mismatch may be repeated without asking Whop.
	maxRefusalAge = 5 * time.Second
	// maxRepeats is how many machines are refused because of one look-up. More of
	// them have to cause another, which counts: whoever invents machines is held by
	// the limits.
	maxRepeats = 100
)

// tag stands for a license key or a membership in the cache and in Redis, where
// no key is ever stored. It can't be turned back or guessed at without the
// seller's API key.
type tag [16]byte

// tagger makes tags.
type tagger struct{ secret [sha256.Size]byte }

func newTagger(apiKey string) tagger {
	return tagger{sha256.Sum256([]byte("whop-license gateway tags\x00" + apiKey))}
}

// of is a hash with a secret before what is hashed. That is as good as an HMAC
// here, because a tag is too short to be continued from.
func (t tagger) of(kind string, name []byte) tag {
	b := make([]byte, 0, 256)
	b = append(b, t.secret[:]...)
	b = append(b, kind...)
	b = append(b, 0)
	b = append(b, name...)
	sum := sha256.Sum256(b)
	return tag(sum[:len(tag{})])
}

func (t tag) String() string { return hex.EncodeToString(t[:]) }

// look is what one look-up said. Its time is that of the question: whatever
// happened after it may be missing from the answer.
type look struct {
	asked time.Time
	m     *membership // nil: there is no such membership
	tag   tag         // of the membership
}

// cache holds what was last seen of license keys and of memberships. Newer
// questions win over older ones, whatever order the answers come in.
type cache struct {
	mu      sync.Mutex
	keys    *simplelru.LRU[tag, keyEntry]
	members *simplelru.LRU[tag, memberEntry]
	floor   time.Time // nothing that was asked before counts

	// refused is when other gateways said that Whop was asked about a license key,
	// a membership or a machine and that the answer was no. What is forgotten of it
	// counts for all.
	refused      *simplelru.LRU[tag, time.Time]
	refusedFloor time.Time
}

type keyEntry struct {
	asked  time.Time
	known  bool
	member tag
}

type memberEntry struct {
	asked    time.Time
	m        *membership // nil: dropped
	refusals int         // how many machines were refused because of it
}

func newCache() *cache {
	c := new(cache)
	c.keys, _ = simplelru.NewLRU[tag, keyEntry](maxCached, nil)
	c.members, _ = simplelru.NewLRU[tag, memberEntry](maxCached, nil)
	c.refused, _ = simplelru.NewLRU(maxCached, func(_ tag, at time.Time) { c.refusedFloor = at })
	return c
}

// get returns what is known of a license key. Its age counts from the older of
// two questions: which membership the key belongs to, and how that stands.
func (c *cache) get(key tag) (look, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keys.Get(key)
	if !ok || !k.asked.After(c.floor) {
		return look{}, false
	}
	if !k.known {
		return look{asked: k.asked}, true
	}
	member, ok := c.members.Get(k.member)
	if !ok || member.m == nil || !member.asked.After(c.floor) {
		return look{}, false
	}
	l := look{asked: member.asked, m: member.m, tag: k.member}
	if k.asked.Before(l.asked) {
		l.asked = k.asked
	}
	return l, true
}

// latest returns what was last seen of a membership, by whatever key.
func (c *cache) latest(member tag) (look, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Get(member)
	if !ok || e.m == nil || !e.asked.After(c.floor) {
		return look{}, false
	}
	return look{asked: e.asked, m: e.m, tag: member}, true
}

// put records a look-up by license key.
func (c *cache) put(key tag, l look) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.keys.Peek(key); !ok || !old.asked.After(l.asked) {
		c.keys.Add(key, keyEntry{asked: l.asked, known: l.m != nil, member: l.tag})
	}
	if l.m != nil {
		c.putMember(l)
	}
}

// putLatest records a look-up by membership.
func (c *cache) putLatest(l look) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putMember(l)
}

func (c *cache) putMember(l look) {
	if old, ok := c.members.Peek(l.tag); !ok || !old.asked.After(l.asked) {
		c.members.Add(l.tag, memberEntry{asked: l.asked, m: l.m})
	}
}

// refuse notes that a machine was refused because of a look.
func (c *cache) refuse(l look) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.members.Peek(l.tag); ok && e.asked.Equal(l.asked) {
		e.refusals++
		c.members.Add(l.tag, e)
	}
}

// repeat reports whether one more machine may be refused because of a look that
// one was refused because of, and counts it.
func (c *cache) repeat(l look) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Peek(l.tag)
	if !ok || e.m != l.m || e.refusals == 0 || e.refusals >= maxRepeats {
		return false
	}
	e.refusals++
	c.members.Add(l.tag, e)
	return true
}

// outdated reports whether a look is older than what was learned since.
func (c *cache) outdated(l look) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.members.Peek(l.tag)
	return !l.asked.After(c.floor) || ok && e.asked.After(l.asked)
}

// drop forgets a membership, and what is being asked about it at this moment.
func (c *cache) drop(member tag) {
	c.putLatest(look{asked: time.Now(), tag: member})
}

// dropAll forgets everything, and what is being asked at this moment.
func (c *cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.floor = time.Now()
	c.keys.Purge()
	c.members.Purge()
}

// refusedElsewhere notes that another gateway was told no of a license key, a membership
// or a machine.
func (c *cache) refusedElsewhere(t tag) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused.Add(t, time.Now())
}

// refusedSince reports whether another gateway may have been told no of any of
// these since a look.
func (c *cache) refusedSince(l look, tags ...tag) bool {
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
