package check

import (
	"context"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Forget drops what is remembered about a membership, here and on every other
// gateway. After an error, other gateways may still remember it.
func (c *Checker) Forget(ctx context.Context, membershipID string) error {
	member := c.tags.OfMembership(membershipID)
	c.cache.drop(member)
	return c.peers.TellChanged(ctx, member)
}

// Changed receives another gateway's news that a membership changed.
func (c *Checker) Changed(member tag.Tag) { c.cache.drop(member) }

// RefusedElsewhere receives another gateway's news that Whop was asked about a
// license key, a membership or a machine, and that the answer was no.
func (c *Checker) RefusedElsewhere(refused tag.Tag) { c.cache.refusedElsewhere(refused) }

// MissedNews drops everything that is remembered, because news about any of it
// may have been missed.
func (c *Checker) MissedNews() { c.cache.dropAll() }
