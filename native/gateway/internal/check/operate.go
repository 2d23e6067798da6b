package check

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
)

// A Report is what a seller can know about a license.
type Report struct {
	Membership *Membership // nil: Whop has no such license
	Places     []binding.Place

	// Bound and Another are what a check answers to a machine that has a place, and
	// to one that has none. [Valid] for another machine means that it gets a place.
	Bound, Another Outcome

	LastRefusal Refusal
}

// A Refusal says when a license was refused, and how. It is zero if that is not
// known.
type Refusal struct {
	At      time.Time
	Outcome string
}

// ErrNothingToFree says that a place holds no machine.
var ErrNothingToFree = errors.New("there is nothing to free: no machine is stored")

// ErrOtherProduct says that a license belongs to a product that is not
// accepted, so nothing is written to it.
var ErrOtherProduct = errors.New("the license belongs to a product that --product does not list")

// Inspect looks a license up by its key or membership id, and changes nothing.
func (c *Checker) Inspect(ctx context.Context, id string) (Report, error) {
	m, err := c.whop.LookUp(ctx, id)
	if errors.Is(err, ErrUnknown) {
		return Report{Bound: NotFound, Another: NotFound}, nil
	}
	if err != nil {
		return Report{}, err
	}
	return c.report(ctx, m), nil
}

func (c *Checker) report(ctx context.Context, m *Membership) Report {
	r := Report{Membership: m, Places: c.rules.Places(m.Metadata), LastRefusal: c.refusals.LastRefusal(ctx, c.tags.OfMembership(m.ID))}
	r.Bound, _ = c.judge(m, nil)
	r.Another, _ = c.judge(m, c.rules.Another(m.Metadata, rand.Text()))
	if r.Another == unbound {
		r.Another = Valid
	}
	return r
}

// Free frees a place of a license, or all of them with [binding.AllPlaces], for
// the machine that asks next. It writes under the same exclusion as a binding,
// then checks whether Whop stored the change, and returns the new state of the
// license.
func (c *Checker) Free(ctx context.Context, id string, place int) (Report, error) {
	m, err := c.whop.LookUp(ctx, id)
	if err != nil {
		return Report{}, err
	}
	if !c.products[m.Product] {
		return Report{}, ErrOtherProduct
	}
	member := c.tags.OfMembership(m.ID)
	hold, err := c.exclusion.Obtain(ctx, member)
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), BindTime(c.upstreamTimeout))
	defer cancel()
	now, pending, err := c.freeUnder(ctx, hold, m.ID, place)
	if pending {
		_ = hold.Extend(ctx) // nobody may write while this write may still be carried out
	} else {
		hold.Release()
	}
	told := c.Forget(ctx, m.ID)
	if err != nil {
		return Report{}, err
	}
	c.audit.Freed(m.ID, place)
	if told != nil {
		return Report{}, fmt.Errorf("the change was made, but the gateways could not be told; they learn of it within --cache-ttl: %w", told)
	}
	return c.report(ctx, now), nil
}

// freeUnder writes, and looks the license up again. A write that is not visible
// yet and may still be carried out is pending.
func (c *Checker) freeUnder(ctx context.Context, hold Hold, id string, place int) (now *Membership, pending bool, err error) {
	if now, err = c.whop.LookUp(ctx, id); err != nil {
		return nil, false, err
	}
	if !c.taken(now, place) {
		return nil, false, ErrNothingToFree
	}
	for _, nothing := range []binding.Value{binding.Null, binding.EmptyText} { // Whop may reject or ignore a null
		if err := hold.Confirm(ctx); err != nil {
			return nil, false, err
		}
		written := c.whop.SetMetadata(ctx, id, c.rules.Freed(now.Metadata, place, nothing), rand.Text())
		pending, err = mayBeCarriedOut(written), cmp.Or(written, errNotShown)
		after, lookErr := c.whop.LookUp(ctx, id)
		if lookErr != nil {
			return nil, pending, cmp.Or(written, lookErr)
		}
		if now = after; !c.taken(now, place) {
			return now, false, nil
		}
		if written != nil && pending {
			break
		}
	}
	return nil, pending, err
}

var errNotShown = errors.New("Whop accepted the change but does not show it; look at the license again, and use Reset Key in Whop's dashboard if nothing has changed")

// taken reports whether a place, or any place with [binding.AllPlaces], holds a
// machine.
func (c *Checker) taken(m *Membership, place int) bool {
	for _, p := range c.rules.Places(m.Metadata) {
		if place == binding.AllPlaces || p.Number == place {
			return true
		}
	}
	return false
}
