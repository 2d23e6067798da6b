package main

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/whop-license/whop-license/shared/license"
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
	by      tag       // and about which license
	refused tag       // the license that was refused last
	inARow  int       // how often another license was, since a call got through
}

// of notes what came of a call about a license, and returns how far a refusal
// reaches.
func (r *reach) of(id tag, err error, now time.Time) scope {
	var up *upstreamError
	refused := errors.As(err, &up) && (up.reason.refused() || up.reason == reasonOtherNotFound)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil || errors.Is(err, errUnknown) {
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
	case up.reason == reasonUnauthorized, r.inARow >= scopeProof, r.inARow > 1 && !others:
		return scopeAll
	case others:
		return scopeLicense
	default:
		return scopeUnknown
	}
}

// Once a minute is often enough for what concerns all.
const generalNotice = time.Minute

// report says on the seller's side what customers are not told.
func (w *whop) report(op operation, id string, how scope, err error) {
	var up *upstreamError
	if !errors.As(err, &up) {
		return
	}
	args := []any{"operation", op, "reason", string(up.reason), "error", up.err.Error()}
	if up.said != "" {
		args = append(args, "whop_says", up.said)
	}
	key := []any{"key", license.ShortenKey(id)}
	switch {
	case up.reason == reasonBadVersion:
		w.notices.general(slog.LevelError, generalNotice, string(op), "Whop does not know the version of its API that is asked for; set --api-version-date to one that it lists",
			append(args, "version", w.headers[versionHeader], "versions", up.versions)...)
	case up.reason.refused() || up.reason == reasonOtherNotFound || up.reason == reasonUnknownToWrite:
		msg, args := refusalAdvice(op, up.reason), append(args, "concerns", string(how))
		if how == scopeAll {
			w.notices.general(slog.LevelError, generalNotice, string(op)+up.err.Error(), msg, append(key, args...)...)
			return
		}
		level := slog.LevelError
		if how == scopeLicense && up.reason != reasonUnknownToWrite {
			level = slog.LevelWarn
		}
		w.notices.license(level, id, msg, args...)
	case up.reason == reasonBadAnswer:
		w.notices.license(slog.LevelError, id, "an answer can't be used, so nothing was decided and nothing was written", args...)
	case up.retryAfter > 0:
		w.log.Warn("Whop is not asked for now", append(key, args...)...)
	default:
		w.log.Warn("Whop did not answer", append(key, args...)...)
	}
}

func refusalAdvice(op operation, why reason) string {
	switch {
	case why == reasonUnauthorized:
		return "Whop refuses the API key: it is wrong or was revoked; set WHOP_API_KEY to a valid one"
	case why == reasonForbidden && op == opLookUp:
		return "Whop forbids a look-up, and whop_says why; if a permission is missing, give the API key member:basic:read and member:email:read"
	case why == reasonForbidden:
		return "Whop forbids to bind a license, and whop_says why; if a permission is missing, give the API key member:manage"
	case why == reasonOtherNotFound:
		return "Whop answers 404, and not about the membership; if it concerns every call, check --upstream-url and --api-version-date"
	case why == reasonUnknownToWrite:
		return "Whop answers 404 to the write of a membership that it has just shown, so the license can't be bound"
	default:
		return "Whop refuses a request, and whop_says why; if it concerns every call, check --api-version-date and --upstream-url"
	}
}

// reportOdd says which members of an answer could not be read.
func (w *whop) reportOdd(odd []oddity) {
	for _, o := range odd {
		msg := "a member of Whop's answers can't be read and is left out"
		switch o.member {
		case "cancel_at_period_end", "expires_at", "renewal_period_end", "current_period_end":
			msg = "a member of Whop's answers that says how long a license is good can't be read; leases end with the period, or within an hour where that can't be read either"
		}
		w.notices.general(slog.LevelWarn, onceForAll, o.String(), msg, "member", o.member, "is", o.kind)
	}
}

// onceForAll is longer than a gateway runs.
const onceForAll = 100 * 365 * 24 * time.Hour
