package check

import (
	"context"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Whop looks memberships up and writes to them.
type Whop interface {
	// LookUp returns the membership with a license key or a membership id. It
	// returns [ErrUnknown] if Whop has no such membership, or a [Failure].
	LookUp(ctx context.Context, id string) (*Membership, error)
	// SetMetadata replaces the whole metadata of a membership. After an error it
	// may or may not have been stored; only a look-up tells. Repeated with the same
	// idempotency key, it is stored once. Its error is a [Failure].
	SetMetadata(ctx context.Context, id string, whole binding.Metadata, idempotencyKey string) error
}

// Exclusion keeps other gateways from binding the same membership.
type Exclusion interface {
	// Obtain waits for the right to bind a membership, at most [LockPatience]. Its
	// error is a [*BusyError].
	Obtain(ctx context.Context, member tag.Tag) (Hold, error)
}

// Hold is the right to bind one membership. It lasts [LockTime] unless it is
// extended or released.
type Hold interface {
	// Confirm returns a [*BusyError] unless the right still holds.
	Confirm(ctx context.Context) error
	// Extend makes the right last [LockTime] from now on.
	Extend(ctx context.Context) error
	// Release ends the right.
	Release()
}

// Refusals remembers for some minutes which machines were refused.
type Refusals interface {
	// MarkRefused remembers a machine. After an error it is not remembered.
	MarkRefused(ctx context.Context, machine tag.Tag) error
	// WasRefused reports whether a machine was refused. If that can't be
	// determined, it returns true, so that Whop is asked.
	WasRefused(ctx context.Context, machine tag.Tag) bool
	// NoteRefusal records for the seller that a membership was refused now, and
	// how. If that fails, nothing is recorded.
	NoteRefusal(ctx context.Context, member tag.Tag, outcome Outcome)
	// LastRefusal returns what was recorded last, or the zero Refusal.
	LastRefusal(ctx context.Context, member tag.Tag) Refusal
}

// Peers is the connection to the same seller's other gateways. What they tell
// reaches the [Checker] through its methods Changed, RefusedElsewhere and
// MissedNews.
type Peers interface {
	// TellChanged tells the peers that a membership changed.
	TellChanged(ctx context.Context, member tag.Tag) error
	// TellRefused tells the peers that Whop was asked about a license key, a
	// membership or a machine, and that the answer was no.
	TellRefused(ctx context.Context, refused tag.Tag) error
	// CatchUp returns once everything that the peers have told until now has been
	// received, or an error if that can't be known.
	CatchUp(ctx context.Context) error
}

// Strangers is the part of Whop's quota for license keys that were never seen
// valid. A look-up counts against it only if the key turns out to be unknown.
type Strangers interface {
	// Room returns 0 if a look-up may be made now, or how long until it may.
	Room(ctx context.Context) time.Duration
	// Spend counts a look-up.
	Spend(ctx context.Context)
}

// Notices logs messages to the seller, each at most once in a while.
type Notices interface {
	// License logs a message about one license, identified by its key or membership
	// id.
	License(level slog.Level, id, msg string, args ...any)
	// General logs a message that concerns more than one license, at most once per
	// interval for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Audit records who may use a license on which machine.
type Audit interface {
	// Bound records that a membership was bound to a machine, and in which place,
	// counting from 1.
	Bound(licenseKey, membershipID string, place int, machine binding.Metadata)
	// Freed records that a place of a membership was freed, or [binding.AllPlaces].
	Freed(membershipID string, place int)
}

// NoAudit is the [Audit] that records nothing.
type NoAudit struct{}

// Bound does nothing.
func (NoAudit) Bound(string, string, int, binding.Metadata) {}

// Freed does nothing.
func (NoAudit) Freed(string, int) {}

// Metrics counts what a [Checker] does.
type Metrics interface {
	// CacheUsed counts a query that was answered from the cache, or was not.
	CacheUsed(hit bool)
	// Bound counts a first use by its result: "bound", "refused" (the lock could
	// not be obtained), "lost" (Whop did not store the binding) or "altered" (Whop
	// stored it in another form).
	Bound(result string)
	// AnsweredStale counts a query that was answered from an older look-up.
	AnsweredStale()
}

// Alone is the [Exclusion], the [Hold] and the [Peers] of a single gateway.
type Alone struct{}

// Obtain gives the right to bind at once.
func (Alone) Obtain(context.Context, tag.Tag) (Hold, error) { return Alone{}, nil }

// Confirm does nothing, because nobody else can take the right.
func (Alone) Confirm(context.Context) error { return nil }

// Extend does nothing, because the right never expires.
func (Alone) Extend(context.Context) error { return nil }

// Release does nothing, because nobody waits for the right.
func (Alone) Release() {}

// TellChanged does nothing, because there is nobody to tell.
func (Alone) TellChanged(context.Context, tag.Tag) error { return nil }

// TellRefused does nothing, because there is nobody to tell.
func (Alone) TellRefused(context.Context, tag.Tag) error { return nil }

// CatchUp does nothing, because there is nobody to hear from.
func (Alone) CatchUp(context.Context) error { return nil }

// LocalRefusals is the [Refusals] of a single gateway, a bounded number of them
// kept in memory.
type LocalRefusals struct{ machines *lru.Cache[tag.Tag, struct{}] }

// NewLocalRefusals returns refusals that remember no machine yet.
func NewLocalRefusals() LocalRefusals {
	machines, _ := lru.New[tag.Tag, struct{}](maxCached)
	return LocalRefusals{machines}
}

// MarkRefused remembers a machine until there is no more room for it.
func (r LocalRefusals) MarkRefused(_ context.Context, machine tag.Tag) error {
	r.machines.Add(machine, struct{}{})
	return nil
}

// WasRefused reports whether a machine is remembered.
func (r LocalRefusals) WasRefused(_ context.Context, machine tag.Tag) bool {
	return r.machines.Contains(machine)
}

// NoteRefusal does nothing: the seller's commands can't see a gateway's memory.
func (LocalRefusals) NoteRefusal(context.Context, tag.Tag, Outcome) {}

// LastRefusal returns nothing.
func (LocalRefusals) LastRefusal(context.Context, tag.Tag) Refusal { return Refusal{} }

// Sleep waits for d, or returns the context's error if that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
