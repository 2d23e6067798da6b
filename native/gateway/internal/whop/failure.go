package main

import (
	"errors"
	"time"
)

// errUnknown says that Whop has no such membership. It is an answer; every
// other error of the upstream is the lack of one.
var errUnknown = errors.New("no such membership")

// reason says why there is no answer from Whop. It is also the name in metrics.
type reason string

const (
	// Whop was not asked.
	reasonPaused      reason = "paused"
	reasonOverBudget  reason = "over_budget"
	reasonCircuitOpen reason = "circuit_open"

	// Whop, or the way to it, is failing.
	reasonTimeout     reason = "timeout"
	reasonUnreachable reason = "unreachable"
	reasonUnanswered  reason = "unanswered" // something on the way answered in Whop's place
	reasonFailing     reason = "failing"    // Whop itself says so

	// Whop answered, and it can't be used.
	reasonRateLimited   reason = "rate_limited"
	reasonBadAnswer     reason = "bad_answer"      // not Whop's, or not to be trusted
	reasonOtherNotFound reason = "other_not_found" // a 404 about something else than the membership
	reasonUnauthorized  reason = "unauthorized"
	reasonForbidden     reason = "forbidden"
	reasonBadRequest    reason = "bad_request"
	reasonBadVersion    reason = "bad_version"
	reasonUnknownStatus reason = "unknown_status"

	// A binding came to nothing.
	reasonUnknownToWrite reason = "unknown_to_write" // a 404 to the write of a membership that was just read
	reasonNotStored      reason = "not_stored"
	reasonAltered        reason = "altered"
)

// outage reports whether the reason shows that Whop itself, or the way to it,
// is failing. What one license's look-up alone can bring about does not.
func (r reason) outage() bool {
	switch r {
	case reasonTimeout, reasonUnreachable, reasonUnanswered, reasonFailing:
		return true
	}
	return false
}

// refused reports whether it is the seller's fault (a wrong API key, a missing
// permission): asking again does not help until the seller has acted.
func (r reason) refused() bool {
	switch r {
	case reasonUnauthorized, reasonForbidden, reasonBadRequest:
		return true
	}
	return false
}

// unasked reports whether Whop said nothing of the license: it could not be
// asked, it refused the question, or its answer can't be read.
func (r reason) unasked() bool {
	switch r {
	case reasonUnknownStatus, reasonUnknownToWrite, reasonNotStored, reasonAltered:
		return false
	}
	return true
}

// mayTakeEffect reports whether a write that failed so can still be carried
// out: it was sent, and Whop has not said that it failed.
func (r reason) mayTakeEffect() bool {
	switch r {
	case reasonTimeout, reasonUnreachable, reasonUnanswered, reasonBadAnswer:
		return true
	}
	return false
}

// passing reports whether the same call may succeed at once.
func (r reason) passing() bool { return r.outage() || r == reasonBadAnswer }

// upstreamError is the lack of an answer from Whop.
type upstreamError struct {
	reason     reason
	retryAfter time.Duration // how long to leave Whop alone, where known
	said       string        // Whop's own message, fit for a log
	versions   []string      // of the API, that Whop lists where it does not know ours
	err        error
}

func (e *upstreamError) Error() string { return "whop: " + string(e.reason) + ": " + e.err.Error() }
func (e *upstreamError) Unwrap() error { return e.err }

// passing reports whether the same call may succeed at once.
func (e *upstreamError) passing() bool { return e.reason.passing() && e.retryAfter == 0 }

func unavailable(why reason, err error) *upstreamError {
	return &upstreamError{reason: why, err: err}
}

// isOutage reports whether an error means that Whop itself is failing.
func isOutage(err error) bool {
	var up *upstreamError
	return errors.As(err, &up) && up.reason.outage()
}

// declined reports whether a write failed so that it won't be carried out: it
// was not sent, or Whop answered that it failed.
func declined(written error) bool {
	var up *upstreamError
	return errors.As(written, &up) && !up.reason.mayTakeEffect()
}
