package whop

import (
	"errors"
	"sync"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// scope says how far a refusal by Whop reaches.
type scope string

const (
	scopeUnknown scope = "not known yet"
	scopeLicense scope = "this license only"
	scopeAll     scope = "every call"
)

const (
	// scopeMemory is how long a call that got through shows that others do.
	scopeMemory = 10 * time.Minute
	// scopeProof is how many licenses in a row must be refused, while others got
	// through not long ago, to show that all are.
	scopeProof = 3
)

// reach finds out, for one operation, whether Whop refuses one license or
// everything: by how it answered about other licenses.
type reach struct {
	mu      sync.Mutex
	through time.Time // when a call last got through
	by      tag.Tag   // and about which license
	refused tag.Tag   // the license that was refused last
	inARow  int       // how often another license was, since a call got through
}

// of notes what came of a call about a license, and returns how far a refusal
// reaches.
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
