package check

import (
	"errors"
	"time"
)

// ErrUnknown says that Whop has no such membership. It is an answer; every
// other error of [Whop] means that there was none.
var ErrUnknown = errors.New("no such membership")

// Failure means that Whop gave no usable answer.
type Failure interface {
	error
	// Unasked reports whether Whop said nothing about the license: it could not be
	// asked, it refused the question, or its answer can't be read.
	Unasked() bool
	// HeldBack reports whether Whop was not called.
	HeldBack() bool
	// MayBeCarriedOut reports whether a write with this failure may still be
	// carried out: it was sent, and Whop has not said that it failed.
	MayBeCarriedOut() bool
	// Transient reports whether the same call may succeed if it is repeated at once.
	Transient() bool
	// SellersFault reports whether asking again is useless until the seller acts:
	// the API key is wrong, or a permission is missing.
	SellersFault() bool
	// RetryAfter returns how long to wait before asking Whop again, or 0 if that is
	// not known.
	RetryAfter() time.Duration
}

// undecided is a [Failure] of a check although Whop itself works.
type undecided struct {
	kind  undecidedKind
	err   error
	after time.Duration // how long to wait before asking again, if known
}

// undecidedKind says why no verdict was reached.
type undecidedKind string

const (
	tooLate       undecidedKind = "timeout"        // Whop's answer came too late to begin a binding
	notBegun      undecidedKind = "not_begun"      // the license's rate limit delayed the look-up for too long
	unknownStatus undecidedKind = "unknown_status" // of the membership
	notStored     undecidedKind = "not_stored"     // Whop accepted a binding but does not return it
	storedAltered undecidedKind = "altered"        // Whop stored a binding in another form
	strangersOut  undecidedKind = "strangers"      // unknown license keys have used up their part of the quota
)

func (e *undecided) Error() string { return "whop: " + string(e.kind) + ": " + e.err.Error() }
func (e *undecided) Unwrap() error { return e.err }
func (e *undecided) Unasked() bool {
	return e.kind == tooLate || e.kind == notBegun || e.kind == strangersOut
}
func (e *undecided) HeldBack() bool            { return e.kind == notBegun || e.kind == strangersOut }
func (*undecided) MayBeCarriedOut() bool       { return false }
func (*undecided) Transient() bool             { return false }
func (*undecided) SellersFault() bool          { return false }
func (e *undecided) RetryAfter() time.Duration { return e.after }

// asked reports whether a look-up that ended with this error, or with nil, was
// made.
func asked(lookedUp error) bool {
	var f Failure
	return lookedUp == nil || errors.As(lookedUp, &f) && !f.HeldBack()
}

// CostsNothing reports whether strangers can cause an error without limit, because
// it uses up none of their look-ups.
func CostsNothing(err error) bool {
	var u *undecided
	return errors.As(err, new(*LimitedError)) || errors.As(err, &u) && u.kind == strangersOut
}

// mayBeCarriedOut reports whether a write that ended with this error, or with
// nil, was carried out or still may be.
func mayBeCarriedOut(written error) bool {
	var f Failure
	return !errors.As(written, &f) || f.MayBeCarriedOut()
}

// The limits that a [LimitedError] can be about.
const (
	LimitClient      = "client"       // the look-ups that one client may cause
	LimitUnknownKeys = "unknown_keys" // the license keys that one client may guess
	LimitLicense     = "license"      // the look-ups of one license
)

// A LimitedError says that a client or a license has used up its look-ups.
type LimitedError struct {
	What       string // [LimitClient], [LimitUnknownKeys] or [LimitLicense]
	RetryAfter time.Duration
}

// Error says which limit was reached.
func (e *LimitedError) Error() string { return "too many requests: " + e.What }

// BusyKind says why a license can't be bound now.
type BusyKind string

// The kinds of [BusyError].
const (
	Busy           BusyKind = "busy"            // it is just being bound
	LockLost       BusyKind = "lock_lost"       // the right to bind it has expired
	RedisDown      BusyKind = "redis_down"      // the gateways can't exclude each other
	RedisRestarted BusyKind = "redis_restarted" // another gateway may not know yet that its lock is lost
)

// A BusyError says that a license can't be bound now.
type BusyError struct {
	Kind       BusyKind
	RetryAfter time.Duration
	Cause      error
}

// Error says why the license can't be bound.
func (e *BusyError) Error() string { return "binding: " + string(e.Kind) }

// Unwrap returns the underlying failure.
func (e *BusyError) Unwrap() error { return e.Cause }
