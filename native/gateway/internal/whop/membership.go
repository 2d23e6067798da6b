package whop

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// Statuses are the membership statuses that Whop documents. It may add others.
var Statuses = []string{"trialing", "active", "past_due", "completed", "canceling", "canceled", "expired", "unresolved", "drafted"}

// Versions are the known versions of the Current API, oldest first. Whop may
// have others, and lists all of them if it is asked for one that it does not
// have.
var Versions = []string{"2025-01-01", "2026-06-08", "2026-06-09", "2026-07-01", "2026-07-20", "2026-07-23", "2026-08-05-1", "2026-08-14", "2026-09-15", "2026-09-25", "2026-09-29", "2026-10-06", "2026-10-07-2", "2026-10-08", "2026-11-17"}

// skippedMember is a member that could not be read and was left out, because no
// verdict depends on it.
type skippedMember struct{ member, kind string }

// memberNames are the members that are read, under all names that they have in
// Whop's versions.
var memberNames = []string{
	"id", "license_key", "status", "metadata", "product", "product_id",
	"cancel_at_period_end", "expires_at", "renewal_period_end", "current_period_end",
	"plan", "plan_id", "variant", "variant_id", "manage_url", "quantity",
	"created_at", "renewal_period_start", "current_period_start",
}

// deciding are the members that decide whether, for whom and how long a license
// is valid.
var deciding = memberNames[:10]

// parseMembership reads the body of a successful look-up by license key or
// membership id, in any of Whop's shapes. It is strict about deciding members
// and lenient about the rest. An error means that the answer can't be trusted,
// not that the license is invalid.
func parseMembership(body []byte, asked string) (*check.Membership, []skippedMember, error) {
	w, err := readMembers(body, memberNames...)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range deciding {
		if w[name].twice {
			return nil, nil, unusable(name, w[name])
		}
	}
	m := &check.Membership{}
	if m.ID, err = readIdentity(w, asked); err != nil {
		return nil, nil, err
	}
	if m.Product, err = readProduct(w); err != nil {
		return nil, nil, err
	}
	var ok bool
	if m.Status, ok = readText(w["status"].raw); !ok || m.Status == "" {
		return nil, nil, unusable("status", w["status"])
	}
	if m.Metadata, err = readMetadata(w["metadata"]); err != nil {
		return nil, nil, err
	}
	skipped := append(readTerm(m, w), readDisplayed(m, w)...)
	return m, skipped, nil
}

// readIdentity reads the membership's id, and makes sure that the answer is
// about the membership that was asked for.
func readIdentity(w map[string]member, asked string) (string, error) {
	id, ok := readText(w["id"].raw)
	if !ok {
		return "", unusable("id", w["id"])
	}
	if !isMembershipID(id) || !IsID(id) {
		return "", errors.New("the member id is not a membership's id")
	}
	if w["license_key"].raw == nil {
		return "", unusable("license_key", w["license_key"])
	}
	key, ok := readText(w["license_key"].raw)
	if !ok && w["license_key"].given() {
		return "", unusable("license_key", w["license_key"])
	}
	if isMembershipID(asked) && id != asked || !isMembershipID(asked) && key != "" && !strings.EqualFold(key, asked) {
		return "", errors.New("another membership than the requested one")
	}
	return id, nil
}

func readProduct(w map[string]member) (product string, err error) {
	for _, name := range []string{"product_id", "product"} {
		if !w[name].given() {
			continue
		}
		id, ok := readReference(w[name])
		switch {
		case !ok && (name == "product_id" || w[name].raw.Kind() != '{'):
			return "", unusable(name, w[name])
		case ok && product != "" && id != product:
			return "", errors.New("the members product_id and product differ")
		case ok:
			product = id
		}
	}
	if product == "" {
		return "", errors.New("neither the member product nor product_id holds an id")
	}
	return product, nil
}

// readMetadata reads what binds a license. Null and {} mean that nothing is
// stored. An absent member means nothing, so it is an error.
func readMetadata(w member) (m binding.Metadata, err error) {
	switch w.kind() {
	case "null":
		return nil, nil
	case "object":
		if err := json.Unmarshal(w.raw, &m); err != nil {
			return nil, errors.New("the member metadata holds a name twice, or text that is not Unicode")
		}
		return m, nil
	default:
		return nil, unusable("metadata", w)
	}
}

// doubt says which of the members that determine when a license ends are absent
// or can't be read.
type doubt struct{ cancel, expiry, periodEnd bool }

// ended is an end that has always passed.
const ended = 0

// endOf returns when a license ends: at its expiry, or at the end of a period
// that will not, or may not, be renewed. It returns nil if no end is known, and
// ended if there is an end that can't be read. A completed membership is not
// renewed, and has a period only if it expires.
func endOf(m *check.Membership, unsure doubt) *int64 {
	ends := m.CancelAtPeriodEnd || m.Status == "canceling" || unsure.expiry
	mayEnd := unsure.cancel || m.Status == "completed"
	switch {
	case m.ExpiresAt != nil:
		return m.ExpiresAt
	case m.PeriodEnd != nil && (ends || mayEnd):
		return m.PeriodEnd
	case ends || mayEnd && unsure.periodEnd:
		return new(int64(ended))
	default:
		return nil // there is no period that could end
	}
}

// readTerm reads what determines when a license ends. If something can't be
// read, the license ends sooner rather than later.
func readTerm(m *check.Membership, w map[string]member) (skipped []skippedMember) {
	read := func(name string) (seconds *int64, unreadable bool) {
		if !w[name].given() {
			return nil, false
		}
		seconds, ok := readTime(w[name])
		if !ok {
			skipped = append(skipped, skippedMember{name, w[name].kind()})
		}
		return seconds, !ok
	}
	var unsure doubt
	switch w["cancel_at_period_end"].raw.Kind() {
	case 't':
		m.CancelAtPeriodEnd = true
	case 'f':
	default:
		unsure.cancel = true
		skipped = append(skipped, skippedMember{"cancel_at_period_end", w["cancel_at_period_end"].kind()})
	}
	m.ExpiresAt, unsure.expiry = read("expires_at")
	legacy, noLegacy := read("renewal_period_end")
	current, noCurrent := read("current_period_end")
	m.PeriodEnd = legacy
	if legacy == nil || current != nil && *current < *legacy {
		m.PeriodEnd = current
	}
	absent := w["renewal_period_end"].raw == nil && w["current_period_end"].raw == nil
	unsure.periodEnd = m.PeriodEnd == nil && (absent || noLegacy || noCurrent)
	m.EndsAt = endOf(m, unsure)
	return skipped
}

// readDisplayed reads the members that an app may display, and that decide nothing.
func readDisplayed(m *check.Membership, w map[string]member) (skipped []skippedMember) {
	skip := func(name string) { skipped = append(skipped, skippedMember{name, w[name].kind()}) }
	for _, name := range []string{"plan_id", "plan", "variant_id", "variant"} {
		if !w[name].given() || m.Plan != nil {
			continue
		}
		if id, ok := readReference(w[name]); ok {
			m.Plan = &id
		} else {
			skip(name)
		}
	}
	if url := w["manage_url"]; url.given() {
		if text, ok := readText(url.raw); ok && !url.twice {
			m.ManageURL = &text
		} else {
			skip("manage_url")
		}
	}
	m.Quantity = 1 // v2's constant; the Current API has no such member
	if quantity := w["quantity"]; quantity.given() {
		var n int64
		if quantity.raw.Kind() == '0' && !quantity.twice && json.Unmarshal(quantity.raw, &n) == nil {
			m.Quantity = n
		} else {
			skip("quantity")
		}
	}
	moment := func(names ...string) (seconds *int64) {
		for _, name := range names {
			if !w[name].given() || seconds != nil {
				continue
			}
			var ok bool
			if seconds, ok = readTime(w[name]); !ok {
				skip(name)
			}
		}
		return seconds
	}
	m.CreatedAt = moment("created_at")
	m.PeriodStart = moment("renewal_period_start", "current_period_start")
	return skipped
}

func (o skippedMember) String() string { return fmt.Sprintf("%s (%s)", o.member, o.kind) }
