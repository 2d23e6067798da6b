package check

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxBuckets is how many clients or licenses are remembered at once. The
// longest unseen is forgotten first, and with it what it had used up.
const maxBuckets = 1 << 16

// buckets are token buckets, one for each key. A key may have a multiple of the
// usual size, its share.
type buckets[K comparable] struct {
	mu    sync.Mutex
	byKey *simplelru.LRU[K, *rate.Limiter] // nil: nothing is limited
	rate  rate.Limit
	burst int
}

// newBuckets allows each key perMinute events a minute, burst of them at once.
// With perMinute 0 nothing is limited.
func newBuckets[K comparable](perMinute, burst int) *buckets[K] {
	b := &buckets[K]{rate: rate.Limit(perMinute) / 60, burst: burst}
	if perMinute > 0 {
		b.byKey, _ = simplelru.NewLRU[K, *rate.Limiter](maxBuckets, nil)
	}
	return b
}

func (b *buckets[K]) bucket(key K, share int) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.byKey.Get(key)
	if !ok {
		bucket = rate.NewLimiter(b.rate*rate.Limit(share), b.burst*share)
		b.byKey.Add(key, bucket)
	}
	return bucket
}

// exhausted returns how long the key has to wait for its next event, or 0.
func (b *buckets[K]) exhausted(key K, share int) time.Duration {
	if b.byKey == nil {
		return 0
	}
	bucket := b.bucket(key, share)
	if tokens := bucket.Tokens(); tokens < 1 {
		return time.Duration((1 - tokens) / float64(bucket.Limit()) * float64(time.Second))
	}
	return 0
}

// charge counts one event, into debt if need be.
func (b *buckets[K]) charge(key K, share int) {
	if b.byKey != nil {
		b.bucket(key, share).Reserve()
	}
}

// pace returns how long the key's next event should be put off, or false and
// the time to wait where that is more than patience; then nothing is counted.
func (b *buckets[K]) pace(key K, patience time.Duration) (time.Duration, bool) {
	if b.byKey == nil {
		return 0, true
	}
	r := b.bucket(key, 1).Reserve()
	wait := r.Delay()
	if wait > patience {
		r.Cancel()
		return wait, false
	}
	return wait, true
}
