// Package notice logs what the seller should look at.
package notice

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/shared/license"
)

const (
	// everyLicense is how often the same message about one license is logged.
	everyLicense = time.Hour
	// maxRemembered is how many messages are remembered, so that they are not
	// repeated.
	maxRemembered = 1 << 14
	// licensesAtOnce and licensePace bound the messages about licenses: a burst of
	// this many, then one per licensePace.
	licensesAtOnce = 100
	licensePace    = time.Second
)

// Notices logs messages to the seller. Each one is logged only once in a while,
// however often it comes up. Strangers can cause some of them, so both what is
// remembered and what is logged is bounded.
type Notices struct {
	tags tag.Tagger
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	said *simplelru.LRU[tag.Tag, last]
	pace *rate.Limiter
}

// last is the last time that a message was logged, and how often it came up since.
type last struct {
	at    time.Time
	times int
}

// New returns notices that write to a log.
func New(tags tag.Tagger, log *slog.Logger) *Notices {
	n := &Notices{tags: tags, log: log, now: time.Now, pace: rate.NewLimiter(rate.Every(licensePace), licensesAtOnce)}
	n.said, _ = simplelru.NewLRU[tag.Tag, last](maxRemembered, nil)
	return n
}

// License logs a message about one license, identified by its key or membership
// id, at most once an hour.
func (n *Notices) License(level slog.Level, id, msg string, args ...any) {
	if n.due(everyLicense, msg, id, true) != nil {
		n.log.Log(context.Background(), level, msg, append([]any{"key", license.ShortenKey(id)}, args...)...)
	}
}

// General logs a message that concerns more than one license, at most once per
// interval for each subject. The line says how often it came up since it was last
// logged, if that is more than once. Strangers must not be able to cause any number
// of subjects, as the number of such messages is not bounded.
func (n *Notices) General(level slog.Level, every time.Duration, subject, msg string, args ...any) {
	before := n.due(every, msg, subject, false)
	if before == nil {
		return
	}
	if before.times > 1 {
		args = append(args, "times", before.times, "since", before.at)
	}
	n.log.Log(context.Background(), level, msg, args...)
}

// due returns when a message was last logged, and counts this time. It returns nil if
// the message must not be logged now.
func (n *Notices) due(every time.Duration, msg, subject string, paced bool) *last {
	what := n.tags.Of("notice", []byte(msg+"\x00"+subject))
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	before, ok := n.said.Get(what)
	before.times++
	if ok && now.Sub(before.at) < every {
		n.said.Add(what, before)
		return nil
	}
	if paced && !n.pace.AllowN(now, 1) {
		return nil // it is logged when it comes up again
	}
	n.said.Add(what, last{at: now})
	return &before
}
