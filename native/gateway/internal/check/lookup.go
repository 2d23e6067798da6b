package check

import (
	"context"
	"errors"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

// licensePatience is how long a look-up may be delayed because its license was
// looked up too often just before.
const licensePatience = 2 * time.Second

// lookUpShared looks a license up, sharing one look-up among concurrent queries
// for the same key. It continues if its caller goes away, because others may be
// waiting for it.
func (c *Checker) lookUpShared(q *Query) (lookUp, error) {
	for _, n := range network.Of(q.Client) {
		if wait := c.clients.exhausted(n.Prefix, n.Share); wait > 0 {
			return lookUp{}, &LimitedError{LimitClient, wait}
		}
	}
	l, err, _ := c.flights.Do(string(q.keyTag[:]), func() (any, error) {
		return c.lookUpCharged(q)
	})
	q.Asked = q.Asked || asked(err)
	return l.(lookUp), err
}

// lookUpCharged looks a license key up, charges the client that asked first,
// and remembers the answer.
func (c *Checker) lookUpCharged(q *Query) (l lookUp, err error) {
	if !c.seen.Contains(q.keyTag) {
		end, tooMany := c.beginStranger(q)
		if tooMany != nil {
			return lookUp{}, tooMany
		}
		defer func() { end(err == nil && c.unknown(l)) }()
	}
	for _, n := range network.Of(q.Client) {
		c.clients.charge(n.Prefix, n.Share)
	}
	wait, ok := c.licenses.pace(q.keyTag, licensePatience)
	if !ok {
		return lookUp{}, &LimitedError{LimitLicense, wait}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait+2*c.upstreamTimeout)
	defer cancel()
	if err := Sleep(ctx, wait); err != nil {
		return lookUp{}, &undecided{kind: notBegun, err: err}
	}
	if l, err = c.lookUpNow(ctx, q.Key); err != nil {
		return l, err
	}
	c.cache.put(q.keyTag, l)
	if c.unknown(l) {
		c.seen.Remove(q.keyTag)
	} else {
		c.seen.Add(q.keyTag, struct{}{})
	}
	return l, nil
}

// unknown reports whether a look-up found no license of our products.
func (c *Checker) unknown(l lookUp) bool {
	return l.membership == nil || !c.products[l.membership.Product]
}

// lookUpNow looks up a license key or membership id.
func (c *Checker) lookUpNow(ctx context.Context, id string) (lookUp, error) {
	l := lookUp{asked: time.Now()}
	m, err := c.whop.LookUp(ctx, id)
	if errors.Is(err, ErrUnknown) {
		return l, nil
	}
	if err == nil {
		err = c.review(m)
	}
	if err != nil {
		return lookUp{}, err
	}
	l.membership, l.tag = m, c.tags.OfMembership(m.ID)
	return l, nil
}
