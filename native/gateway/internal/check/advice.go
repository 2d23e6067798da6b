package check

import (
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/logtext"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// maxNames bounds how many metadata names are logged.
const maxNames = 10

// review tells the seller about a membership that is refused because of the
// settings. It returns an error if Whop does not document the membership's
// status, because then no verdict is possible.
func (c *Checker) review(m *Membership) error {
	status := logtext.Fit(m.Status, logtext.MaxName)
	switch {
	case !c.products[m.Product]:
		c.notices.License(slog.LevelInfo, m.ID, "a license belongs to a product that --product does not list; it is answered as an unknown key", "product", m.Product)
	case c.entitled[m.Status]:
	case c.documented[m.Status]:
		c.notices.License(slog.LevelInfo, m.ID, "a license has a status that --entitled-status does not list; it is answered as not active", "status", status)
	default:
		c.notices.License(slog.LevelError, m.ID, "a license has a status that Whop does not document, so there is no verdict; list it in --entitled-status if it lets customers in", "status", status)
		return &undecided{kind: unknownStatus, err: errors.New("an undocumented status")}
	}
	return nil
}

// adviseNames tells the seller about a license that is refused only because of
// the names of its metadata. Values are not logged.
func (c *Checker) adviseNames(m *Membership, sent binding.Metadata) {
	msg := "a license is refused only because other names are stored than the app sends; if the stored names are your own metadata, list them in --seller-metadata; otherwise the app must send the stored names, or the customer must reset the key"
	names := func(m binding.Metadata) []string {
		return logtext.FitAll(slices.Sorted(maps.Keys(m)), maxNames, logtext.MaxName)
	}
	c.notices.License(slog.LevelWarn, m.ID, msg, "stored", names(m.Metadata), "sent", names(sent))
}

// noteAltered reports whether Whop stored what was just written for a machine
// in another form. The machine would then look like a different one, so
// noteAltered remembers it and tells the seller.
func (c *Checker) noteAltered(m *Membership, q *Query, whole binding.Metadata) bool {
	list := c.rules.Alterations(m.Metadata, whole, q.Sent)
	if len(list) == 0 {
		return false
	}
	machine := c.machineTag(c.tags.OfMembership(m.ID), q.Sent)
	c.altered.Add(machine, c.storedTag(m))
	c.metrics.Bound("altered")
	c.notices.License(slog.LevelError, m.ID, "Whop stores a binding in another form than it was written, so the machine can't be recognized; make the app send strings in the form that is stored", "altered", logtext.FitAll(list, maxNames, 3*logtext.MaxName))
	return true
}

// wasAltered reports whether what is stored is this machine's binding in an
// altered form.
func (c *Checker) wasAltered(m *Membership, sent binding.Metadata) bool {
	if c.altered.Len() == 0 {
		return false
	}
	stored, ok := c.altered.Get(c.machineTag(c.tags.OfMembership(m.ID), sent))
	return ok && stored == c.storedTag(m)
}

// storedTag stands for what a membership stores.
func (c *Checker) storedTag(m *Membership) tag.Tag {
	return c.tags.Of("stored", m.Metadata.Canonical())
}
