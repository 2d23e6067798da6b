package main

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/shared/license"
)

const (
	// licenseNotice is how often the same is said of a license.
	licenseNotice = time.Hour
	// maxNotices is how many are remembered, so as not to be repeated.
	maxNotices = 1 << 14
	// noticesAtOnce and noticePace bound what is said of licenses: this many at
	// once, and then one in a pace.
	noticesAtOnce = 100
	noticePace    = time.Second
)

// notices tells the seller, in the log, what to look at, and each thing only
// once in a while however often it comes up. Strangers can cause some of it, so
// both what is remembered and what is said is bounded.
type notices struct {
	tags tagger
	log  *slog.Logger
	now  func() time.Time

	mu   sync.Mutex
	said *simplelru.LRU[tag, time.Time]
	pace *rate.Limiter
}

func newNotices(tags tagger, log *slog.Logger) *notices {
	n := &notices{tags: tags, log: log, now: time.Now, pace: rate.NewLimiter(rate.Every(noticePace), noticesAtOnce)}
	n.said, _ = simplelru.NewLRU[tag, time.Time](maxNotices, nil)
	return n
}

// license says something of one license, by its key or membership id, once an
// hour.
func (n *notices) license(level slog.Level, id, msg string, args ...any) {
	if n.due(licenseNotice, msg, id, true) {
		n.log.Log(context.Background(), level, msg, append([]any{"key", license.ShortenKey(id)}, args...)...)
	}
}

// general says something that concerns more than one license, and that only the
// gateway's own surroundings can bring about, at most once in every span of time
// for each subject.
func (n *notices) general(level slog.Level, every time.Duration, subject, msg string, args ...any) {
	if n.due(every, msg, subject, false) {
		n.log.Log(context.Background(), level, msg, args...)
	}
}

func (n *notices) due(every time.Duration, msg, subject string, paced bool) bool {
	what := n.tags.of("notice", []byte(msg+"\x00"+subject))
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if at, ok := n.said.Get(what); ok && now.Sub(at) < every {
		return false
	}
	if paced && !n.pace.AllowN(now, 1) {
		return false // it is due again as soon as it comes up
	}
	n.said.Add(what, now)
	return true
}

// fit makes a text from elsewhere fit for a log: printable, on one line, and no
// longer than max characters.
func fit(text string, max int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	count := 0
	for i := range text {
		if count++; count > max {
			return text[:i] + "…"
		}
	}
	return text
}

// fitAll makes a list from elsewhere fit for a log.
func fitAll(list []string, most, max int) []string {
	more := len(list) > most
	fitting := make([]string, 0, min(len(list), most)+1)
	for _, text := range list[:min(len(list), most)] {
		fitting = append(fitting, fit(text, max))
	}
	if more {
		fitting = append(fitting, "…")
	}
	return fitting
}
