package main

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxLimited is how many clients or licenses are remembered at once. The
// longest unseen is forgotten first, and with it what it had used up.
const maxLimited = 1 << 16

// limits is a set of token buckets of one size, one for each key.
type limits[K comparable] struct {
	mu      sync.Mutex
	buckets *simplelru.LRU[K, *rate.Limiter] // nil: nothing is limited
	rate    rate.Limit
	burst   int
}

// newLimits allows each key perMinute events a minute, burst of them at once.
// With perMinute 0 nothing is limited.
func newLimits[K comparable](perMinute, burst int) *limits[K] {
	l := &limits[K]{rate: rate.Limit(perMinute) / 60, burst: burst}
	if perMinute > 0 {
		l.buckets, _ = simplelru.NewLRU[K, *rate.Limiter](maxLimited, nil)
	}
	return l
}

func (l *limits[K]) bucket(key K) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.Get(key)
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
		l.buckets.Add(key, b)
	}
	return b
}

// exhausted returns how long the key has to wait for its next event, or 0.
func (l *limits[K]) exhausted(key K) time.Duration {
	if l.buckets == nil {
		return 0
	}
	if tokens := l.bucket(key).Tokens(); tokens < 1 {
		return time.Duration((1 - tokens) / float64(l.rate) * float64(time.Second))
	}
	return 0
}

// charge counts one event, into debt if need be.
func (l *limits[K]) charge(key K) {
	if l.buckets != nil {
		l.bucket(key).Reserve()
	}
}

// pace returns how long the key's next event should be put off, or false and
// the time to wait where that is more than patience; then nothing is counted.
func (l *limits[K]) pace(key K, patience time.Duration) (time.Duration, bool) {
	if l.buckets == nil {
		return 0, true
	}
	r := l.bucket(key).Reserve()
	wait := r.Delay()
	if wait > patience {
		r.Cancel()
		return wait, false
	}
	return wait, true
}

// clientOf is what a client's address counts as: an IPv6 customer has a whole
// /64 to choose from.
func clientOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		prefix, _ := addr.Prefix(64)
		return prefix.Addr()
	}
	return addr
}
