package whop

import (
	"errors"
	"sync"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// scope says what a refusal by Whop affects.
type scope string

const (
	scopeUnknown scope = "not known yet"
	scopeLicense scope = "this license only"
	scopeAll     scope = "every call"
)

const (
	// scopeMemory is how long a successful call counts as a sign that others
	// succeed.
	scopeMemory = 10 * time.Minute
	// scopeProof is how many licenses in a row must be refused to show that all
	// are, if others succeeded not long ago.
	scopeProof = 3
)

// reach determines, for one operation, whether Whop refuses one license or
// every call, from its answers about other licenses.
type reach struct {
	mu      sync.Mutex
	through time.Time // when a call last succeeded
	by      tag.Tag   // and for which license
	refused tag.Tag   // the license that was refused last
	inARow  int       // how many licenses were refused since a call succeeded
}

// of records the result of a call about a license, and returns what a refusal
// affects.
func (r *reach) of(id tag.Tag, err error, now time.Time) scope {
	var up *Failure
	refused := errors.As(err, &up) && up.Kind.refusal()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || errors.Is(err, check.ErrUnknown) {
		r.through, r.by, r.inARow = now, id, 0
	}
	if !refused {
		return scopeUnknown
	}
	if r.inARow == 0 || r.refused != id {
		r.inARow++
	}
	r.refused = id
	others := !r.through.IsZero() && now.Sub(r.through) < scopeMemory && r.by != id
	switch {
	case up.Kind == unauthorized, r.inARow >= scopeProof, r.inARow > 1 && !others:
		return scopeAll
	case others:
		return scopeLicense
	default:
		return scopeUnknown
	}
}
