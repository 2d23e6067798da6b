package whop

import (
	"errors"
	"slices"
	"time"
)

// Kind says why Whop gave no usable answer. It is also the label in metrics.
type Kind string

// The kinds of [Failure].
const (
	// Whop was not asked.
	paused      Kind = "paused"
	overBudget  Kind = "over_budget"
	circuitOpen Kind = "circuit_open"

	// Whop, or the network on the way, is failing.
	timeout     Kind = "timeout"
	unreachable Kind = "unreachable"
	unanswered  Kind = "unanswered" // something on the way answered in Whop's place
	failing     Kind = "failing"    // Whop itself says so

	// Whop answered, but the answer can't be used.
	rateLimited   Kind = "rate_limited"
	badAnswer     Kind = "bad_answer"      // not Whop's, or not to be trusted
	otherNotFound Kind = "other_not_found" // a 404 that doesn't say that it is about the membership
	unauthorized  Kind = "unauthorized"
	forbidden     Kind = "forbidden"
	badRequest    Kind = "bad_request"
	badVersion    Kind = "bad_version"

	// A 404 to a write to a membership that was just read.
	unknownToWrite Kind = "unknown_to_write"
)

// HeldBack are the kinds of calls that were not made.
var HeldBack = []Kind{paused, overBudget, circuitOpen}

// outage reports whether the kind shows that Whop itself, or the network on the
// way, is failing. A failure that a single license can cause does not.
func (k Kind) outage() bool {
	switch k {
	case timeout, unreachable, unanswered, failing:
		return true
	}
	return false
}

// heldBack reports whether nothing was sent.
func (k Kind) heldBack() bool { return slices.Contains(HeldBack, k) }

// sellersFault reports whether asking again is useless until the seller acts:
// the API key is wrong, or a permission is missing.
func (k Kind) sellersFault() bool {
	switch k {
	case unauthorized, forbidden, badRequest:
		return true
	}
	return false
}

// refusal reports whether Whop refused the call, for one license or for all.
func (k Kind) refusal() bool { return k.sellersFault() || k == otherNotFound }

// mayBeCarriedOut reports whether a write with this failure may still be
// carried out: it was sent, and Whop has not said that it failed.
func (k Kind) mayBeCarriedOut() bool {
	switch k {
	case timeout, unreachable, unanswered, badAnswer:
		return true
	}
	return false
}

// Failure means that Whop gave no usable answer.
type Failure struct {
	Kind     Kind
	op       operation     // what failed
	after    time.Duration // how long to wait before asking Whop again, if known
	words    string        // Whop's own message, without the license key that was asked about
	said     string        // the same, safe for a log
	versions []string      // of the API, which Whop lists if it does not know ours
	err      error
}

// Error returns the kind of the failure, and its details.
func (e *Failure) Error() string { return "whop: " + string(e.Kind) + ": " + e.err.Error() }

// Unwrap returns the underlying failure.
func (e *Failure) Unwrap() error { return e.err }

// Unasked reports whether Whop said nothing about the license.
func (e *Failure) Unasked() bool { return e.Kind != unknownToWrite }

// HeldBack reports whether Whop was not called.
func (e *Failure) HeldBack() bool { return e.Kind.heldBack() }

// MayBeCarriedOut reports whether a write with this failure may still be
// carried out.
func (e *Failure) MayBeCarriedOut() bool { return e.Kind.mayBeCarriedOut() }

// Transient reports whether the same call may succeed if it is repeated at once.
func (e *Failure) Transient() bool { return (e.Kind.outage() || e.Kind == badAnswer) && e.after == 0 }

// SellersFault reports whether asking again is useless until the seller acts.
func (e *Failure) SellersFault() bool { return e.Kind.sellersFault() }

// Refused reports whether Whop refuses every call until the seller acts: the
// API key is wrong or lacks a permission, or Whop does not know the version of
// its API.
func (e *Failure) Refused() bool { return e.Kind.sellersFault() || e.Kind == badVersion }

// namesARoute reports whether Whop says that a route is missing.
func (e *Failure) namesARoute() bool {
	return namesARoute.MatchString(pathLike.ReplaceAllString(e.words, ""))
}

// mayPass reports whether the call may succeed later, although nothing changes.
func (e *Failure) mayPass() bool {
	return e.Kind.outage() || e.Kind.heldBack() || e.Kind == rateLimited
}

// RetryAfter returns how long to wait before asking Whop again, or 0 if that is
// not known.
func (e *Failure) RetryAfter() time.Duration { return e.after }

func newFailure(kind Kind, err error) *Failure { return &Failure{Kind: kind, err: err} }

// isOutage reports whether an error means that Whop itself is failing.
func isOutage(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Kind.outage()
}
