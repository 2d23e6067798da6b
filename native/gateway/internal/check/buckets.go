package check

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// maxBuckets is how many clients or licenses are remembered at once. The least
// recently seen one is forgotten first, and its bucket is then full again.
const maxBuckets = 1 << 16

// buckets are token buckets, one for each key. A key may have a multiple of the
// usual size, its share.
type buckets[K comparable] struct {
	mu    sync.Mutex
	byKey *simplelru.LRU[K, *rate.Limiter] // nil: nothing is limited
	rate  rate.Limit
	burst int
}

// newBuckets allows each key perMinute events per minute, burst of them at
// once. If perMinute is 0, nothing is limited.
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

// charge counts one event, going into debt if necessary.
func (b *buckets[K]) charge(key K, share int) {
	if b.byKey != nil {
		b.bucket(key, share).Reserve()
	}
}

// pace returns how long to delay the key's next event. If that is more than
// patience, it returns false and the time to wait, and counts nothing.
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
