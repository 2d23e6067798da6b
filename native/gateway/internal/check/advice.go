package main

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
)

const (
	// maxNamesShown and maxNameShown bound what is logged of metadata's names.
	maxNamesShown = 10
	maxNameShown  = 40
)

// review looks at what can be wrong with a membership, or with the settings,
// where Whop itself is well. An error means that a membership says nothing: its
// status is one that Whop does not document.
func (g *gate) review(m *membership) error {
	status := fit(m.status, maxNameShown)
	switch {
	case !g.products[m.product]:
		g.notices.license(slog.LevelInfo, m.id, "a license belongs to a product that --product does not list; it is answered as an unknown key", "product", m.product)
	case g.entitled[m.status]:
	case slices.Contains(documentedStatuses, m.status):
		g.notices.license(slog.LevelInfo, m.id, "a license has a status that --entitled-status does not list; it is answered as not active", "status", status)
	default:
		g.notices.license(slog.LevelError, m.id, "a license has a status that Whop does not document, so it is neither good nor bad; add it to --entitled-status if it entitles to use", "status", status)
		return unavailable(reasonUnknownStatus, errors.New("an undocumented status"))
	}
	return nil
}

// adviseNames tells the seller of a license that is refused for the names of its
// metadata only. Values are not logged.
func (g *gate) adviseNames(m *membership, sent metadata) {
	msg := "a license is refused only because other names are stored than the app sends; if the stored ones are metadata of your own, name them with --seller-metadata, and else the app must send the same names, or the customer reset the key"
	names := func(m metadata) []string {
		return fitAll(slices.Sorted(maps.Keys(m)), maxNamesShown, maxNameShown)
	}
	g.notices.license(slog.LevelWarn, m.id, msg, "stored", names(m.metadata), "sent", names(sent))
}

// noteAltered finds out whether what was just written for a machine is stored in
// another form. Then the machine would be told that it is another, so it is
// noted, and the seller is told.
func (g *gate) noteAltered(m *membership, q *query, whole metadata) bool {
	list := g.rules.alterations(m.metadata, whole, q.sent)
	if len(list) == 0 {
		return false
	}
	member := g.tags.of("membership", []byte(m.id))
	g.altered.Add(g.machine(member, q), g.tags.of("stored", m.metadata.canonical()))
	g.metrics.binding("altered")
	g.notices.license(slog.LevelError, m.id, "Whop stores a binding in another form than it was written, so the machine can't be told again; let the app send strings in the form that is stored", "altered", fitAll(list, maxNamesShown, 3*maxNameShown))
	return true
}

// wasAltered reports whether what is stored is what became of this machine's
// binding.
func (g *gate) wasAltered(m *membership, sent metadata) bool {
	if g.altered.Len() == 0 {
		return false
	}
	member := g.tags.of("membership", []byte(m.id))
	stored, ok := g.altered.Get(g.tags.machine(member, sent))
	return ok && stored == g.tags.of("stored", m.metadata.canonical())
}
