package check

import (
	"net/netip"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// A Query is one question of an app: whether a license is good on a machine.
type Query struct {
	Key        string           // the license key, cleaned
	NotAKey    bool             // Key can't be a license key, so Whop is not asked
	Sent       binding.Metadata // what the app sent to identify its machine
	KeepsLease bool             // the app sent a nonce, so it keeps leases that stand in
	Client     netip.Addr       // the client's address
	Arrived    time.Time

	// Set by [Checker.Check].
	Asked  bool // Whop was asked, for this query or for one that shared the look-up
	keyTag tag.Tag
}

// A Verdict is the answer to a [Query].
type Verdict struct {
	Outcome    Outcome
	Membership *Membership // set if the outcome is [Valid]
	Source     Source
}

// Outcome is what a [Verdict] says about a license.
type Outcome int

// The outcomes of a check.
const (
	Valid Outcome = iota
	Mismatch
	Inactive
	NotFound

	// unbound is no verdict yet: the license has a free place, and this machine has
	// to be bound to it first.
	unbound
	// altered is no verdict either: Whop stored this machine's binding in another
	// form than it was written.
	altered
)

// String returns the outcome's name in logs and metrics.
func (o Outcome) String() string {
	return [...]string{"valid", "metadata_mismatch", "inactive", "not_found", "unbound", "altered"}[o]
}

// Source says where a [Verdict] comes from.
type Source string

// The sources of verdicts.
const (
	FromCache Source = "cache" // a recent look-up
	FromWhop  Source = "whop"  // a look-up for this query, or a shared one
	FromBound Source = "bound" // the license was just bound, or the attempt found it bound
	FromStale Source = "stale" // an older look-up, because Whop can't be asked
	FromKey   Source = "key"   // the text alone, which can't be a license key
)

// Membership is what the gateway keeps of a membership: no customer's name,
// address or license key. Times are Unix seconds. A pointer is nil if Whop
// gives no such member, or one that can't be read and decides nothing.
type Membership struct {
	ID                string
	Product           string
	Plan              *string
	Status            string
	Metadata          binding.Metadata
	ManageURL         *string
	CancelAtPeriodEnd bool
	Quantity          int64
	CreatedAt         *int64
	ExpiresAt         *int64
	PeriodStart       *int64
	PeriodEnd         *int64

	// EndsAt is when the license ends, or nil if no end is known. If there is an
	// end that can't be read, it is 0, an end that has passed.
	EndsAt *int64
}
