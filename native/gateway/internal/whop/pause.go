package whop

import (
	"sync"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// pause holds calls back after Whop answered 429. The first such answer holds
// back only the license that it was about; a second one, about another license,
// shows that the limit is the whole account's.
type pause struct {
	mu    sync.Mutex
	until time.Time
	id    tag.Tag
	all   bool
}

func (p *pause) remaining(id tag.Tag, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all || p.id == id {
		return p.until.Sub(now)
	}
	return 0
}

func (p *pause) begin(id tag.Tag, now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := p.until.After(now)
	p.all = running && (p.all || p.id != id)
	p.id = id
	if until := now.Add(d); !running || until.After(p.until) {
		p.until = until
	}
}
