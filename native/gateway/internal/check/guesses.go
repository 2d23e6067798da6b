package check

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

const (
	// strangersAtOnce is how many license keys that were never seen are looked up
	// at once, which reserves most connections to Whop for licenses that exist.
	strangersAtOnce = 64
	// strangersPatience is how long such a look-up waits for its turn.
	strangersPatience = 1500 * time.Millisecond
)

// guesses limits how many license keys that don't exist a client may ask about.
// A look-up counts once it turns out that there is no such license; until then
// it is pending.
type guesses struct {
	mu     sync.Mutex
	counts *simplelru.LRU[netip.Prefix, *guessed] // nil: nothing is limited
	rate   rate.Limit
	burst  int
}

// guessed is what one network has asked about.
type guessed struct {
	limiter *rate.Limiter
	pending int // in-flight look-ups
}

// newGuesses allows a tenth of a client's look-ups to be guesses.
func newGuesses(clientLimit int) *guesses {
	g := &guesses{rate: rate.Limit(max(1, clientLimit/10)) / 60, burst: max(clientLimit/10, min(clientLimit, 10))}
	if clientLimit > 0 {
		g.counts, _ = simplelru.NewLRU[netip.Prefix, *guessed](maxBuckets, nil)
	}
	return g
}

// begin admits a look-up, or returns how long to wait. The caller must call end
// with the result of the look-up.
func (g *guesses) begin(client netip.Addr) (end func(unknown bool), wait time.Duration) {
	if g.counts == nil {
		return func(bool) {}, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*guessed
	for _, n := range network.Of(client) {
		there, ok := g.counts.Get(n.Prefix)
		if !ok {
			there = &guessed{limiter: rate.NewLimiter(g.rate*rate.Limit(n.Share), g.burst*n.Share)}
			g.counts.Add(n.Prefix, there)
		}
		switch tokens := there.limiter.Tokens(); {
		case tokens < 1:
			wait = max(wait, time.Duration((1-tokens)/float64(there.limiter.Limit())*float64(time.Second)))
		case tokens < float64(there.pending+1):
			wait = max(wait, time.Second)
		}
		all = append(all, there)
	}
	if wait > 0 {
		return nil, wait
	}
	for _, there := range all {
		there.pending++
	}
	return func(unknown bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, there := range all {
			there.pending--
			if unknown {
				there.limiter.Reserve()
			}
		}
	}, 0
}

// beginStranger admits a look-up of a license key that was never seen. Anyone
// can make up as many of these as they like.
func (c *Checker) beginStranger(q *Query) (end func(unknown bool), err error) {
	guess, wait := c.guesses.begin(q.Client)
	if wait > 0 {
		return nil, &LimitedError{LimitUnknownKeys, wait}
	}
	ctx, cancel := context.WithTimeout(context.Background(), strangersPatience)
	defer cancel()
	if wait = c.strangers.Room(ctx); wait == 0 && c.strangersNow.Acquire(ctx, 1) != nil {
		wait = time.Second
	}
	if wait > 0 {
		guess(false)
		c.notices.General(slog.LevelWarn, time.Minute, "strangers", "license keys that don't exist have used up their part of the quota for calls to Whop, so keys that this gateway has not seen before are not looked up for now; those that it has seen are")
		return nil, &undecided{strangersOut, errors.New("unknown license keys have used up their part of the quota"), wait}
	}
	return func(unknown bool) {
		c.strangersNow.Release(1)
		guess(unknown)
		if unknown {
			c.strangers.Spend(context.Background())
		}
	}, nil
}
