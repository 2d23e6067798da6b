package check

import (
	"context"
	"errors"
	"time"
)

// licensePatience is how long a look-up may be put off because its license was
// looked up too often just before.
const licensePatience = 2 * time.Second

// lookUpShared looks a license up, together with all others who want to know the
// same. It goes on when its caller leaves, as others may be waiting with it.
func (c *Checker) lookUpShared(q *Query) (lookUp, error) {
	if wait := c.clients.exhausted(q.Client); wait > 0 {
		return lookUp{}, &LimitedError{"client", wait}
	}
	l, err, _ := c.flights.Do(string(q.keyTag[:]), func() (any, error) {
		return c.lookUpCharged(q)
	})
	return l.(lookUp), err
}

// lookUpCharged looks a license key up, at the cost of the client that asked
// first, and remembers the answer.
func (c *Checker) lookUpCharged(q *Query) (lookUp, error) {
	c.clients.charge(q.Client)
	wait, ok := c.licenses.pace(q.keyTag, licensePatience)
	if !ok {
		return lookUp{}, &LimitedError{"license", wait}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait+2*c.upstreamTimeout)
	defer cancel()
	if err := Sleep(ctx, wait); err != nil {
		return lookUp{}, &undecided{tooLate, err}
	}
	l, err := c.lookUpNow(ctx, q.Key)
	if err == nil {
		c.cache.put(q.keyTag, l)
	}
	return l, err
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
