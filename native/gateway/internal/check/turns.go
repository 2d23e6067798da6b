package check

import (
	"context"
	"sync"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// turns lets one first use of each membership at a time proceed within a
// process.
type turns struct {
	mu    sync.Mutex
	taken map[tag.Tag]*turn
}

// turn is the turn for one membership.
type turn struct {
	all   *turns
	of    tag.Tag
	busy  chan struct{} // holds one element while the turn is taken
	users int           // how many have the turn or wait for it
}

func newTurns() *turns { return &turns{taken: map[tag.Tag]*turn{}} }

// acquire waits for the turn of a membership, or returns the context's error.
func (l *turns) acquire(ctx context.Context, member tag.Tag) (*turn, error) {
	l.mu.Lock()
	t, ok := l.taken[member]
	if !ok {
		t = &turn{all: l, of: member, busy: make(chan struct{}, 1)}
		l.taken[member] = t
	}
	t.users++
	l.mu.Unlock()
	select {
	case t.busy <- struct{}{}:
		return t, nil
	case <-ctx.Done():
		t.forget()
		return nil, ctx.Err()
	}
}

// release lets the next one proceed.
func (t *turn) release() {
	<-t.busy
	t.forget()
}

func (t *turn) forget() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(t.all.taken, t.of)
	}
}
