package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// outcome is what the gateway says of a license.
type outcome int

const (
	outcomeValid outcome = iota
	outcomeMismatch
	outcomeInactive
	outcomeUnknown
	// outcomeFree is no answer yet: the license has room for this machine, which
	// has to be bound first.
	outcomeFree
	// outcomeAltered is no answer either: what binds the license to this machine
	// was stored by Whop in another form than it was written.
	outcomeAltered
)

func (o outcome) String() string {
	return [...]string{"valid", "metadata_mismatch", "inactive", "not_found", "unbound", "altered"}[o]
}

// query is one validation that an app asks for.
type query struct {
	key        string // as sent, cleaned
	impossible bool   // it can't be a license key
	sent       metadata
	nonce      string     // to be signed with the answer; empty where the app sent none
	client     netip.Addr // as limits count it
	arrived    time.Time

	keyTag tag
}

// verdict is the gateway's answer to a query.
type verdict struct {
	outcome outcome
	m       *membership // set where the outcome is valid
	source  string      // "cache", "whop", "bound", "stale", or "key" where that can't be one
}

// limitedError says that a client or a license has used up what it may ask.
type limitedError struct {
	reason     string
	retryAfter time.Duration
}

func (e *limitedError) Error() string { return "too many requests: " + e.reason }

// gate decides who may pass. What it is told of a membership it keeps for a
// short time; what it could not find out it never keeps.
type gate struct {
	whop         *whop
	tags         tagger
	rules        bindingRules
	products     map[string]bool
	entitled     map[string]bool
	cacheTTL     time.Duration
	staleIfError time.Duration
	staleLog     rate.Sometimes
	cache        *cache
	clients      *limits[netip.Addr]
	licenses     *limits[tag]
	local        *localLocks
	exclusion    exclusion
	bindTime     time.Duration
	lockTime     time.Duration
	store        *store // nil with a single gateway
	refused      *lru.Cache[tag, struct{}]
	altered      *lru.Cache[tag, tag] // machines by what is stored in place of them
	notices      *notices
	flights      singleflight.Group
	metrics      *metrics
	log          *slog.Logger
}

// licensePatience is how long a look-up may be put off because its license was
// looked up too often just before.
const licensePatience = 2 * time.Second

// validate answers a query. An error is the lack of an answer: an
// [upstreamError], [limitedError], [busyError], or the context's.
func (g *gate) validate(ctx context.Context, q *query) (verdict, error) {
	if q.impossible {
		return verdict{outcome: outcomeUnknown, source: "key"}, nil
	}
	if known, ok := g.cache.get(q.keyTag); ok {
		if v, ok := g.fromCache(ctx, q, known); ok {
			g.metrics.cache(true)
			return v, nil
		}
	}
	g.metrics.cache(false)
	v, err := g.fromWhop(ctx, q)
	if err != nil {
		if old, ok := g.stale(ctx, q, err); ok {
			return old, nil
		}
	}
	return v, err
}

// fromWhop answers a query by a look-up, and by binding the license where it
// has room.
func (g *gate) fromWhop(ctx context.Context, q *query) (verdict, error) {
	l, err := g.ask(q)
	if err != nil {
		return verdict{}, err
	}
	// A look-up that was under way when this query arrived may be older than the
	// customer's Reset Key, so a refusal by it does not count, nor does anything
	// that a webhook has overtaken. A second one can only have begun after the
	// first had ended.
	o, _ := g.judge(l.m, q.sent)
	if (o == outcomeMismatch || o == outcomeFree || g.cache.outdated(l)) && l.asked.Before(q.arrived) {
		if l, err = g.ask(q); err != nil {
			return verdict{}, err
		}
		o, _ = g.judge(l.m, q.sent)
	}
	if time.Since(q.arrived) > answerTime {
		return verdict{}, unavailable("timeout", context.DeadlineExceeded)
	}
	v := verdict{outcome: o, m: l.m, source: "whop"}
	if o == outcomeFree {
		v, err = g.bind(ctx, q, l)
	}
	if err == nil && v.outcome == outcomeAltered {
		return verdict{}, unavailable(reasonAltered, errors.New("what was bound is stored in another form"))
	}
	if err != nil || v.outcome == outcomeValid {
		return v, err
	}
	g.tellRefusal(ctx, q, l, v.outcome)
	if v.outcome == outcomeMismatch && g.markRefused(ctx, g.machine(l.tag, q)) == nil {
		g.cache.refuse(l)
	}
	return v, nil
}

// fromCache answers from what was seen before, if that is recent enough. A
// mismatch that one machine was told is repeated to others, but never to the
// same: it asks again because the customer has reset the key. Where it can't be
// remembered whom it was told, it is told to nobody.
func (g *gate) fromCache(ctx context.Context, q *query, known look) (verdict, bool) {
	o, _ := g.judge(known.m, q.sent)
	age := time.Since(known.asked)
	v := verdict{outcome: o, m: known.m, source: "cache"}
	switch {
	case o == outcomeFree || o == outcomeAltered:
		return v, false
	case o == outcomeValid:
		return v, age < g.cacheTTL
	case age >= min(maxRefusalAge, g.cacheTTL):
		return v, false
	case o != outcomeMismatch:
		return v, true
	}
	machine := g.machine(known.tag, q)
	if !g.cache.repeat(known) || g.wasRefused(ctx, machine) {
		return v, false
	}
	return v, g.markRefused(ctx, machine) == nil
}

// judge decides what a membership means for a machine. For a license with room
// it also returns the whole metadata to store.
func (g *gate) judge(m *membership, sent metadata) (outcome, metadata) {
	if m == nil || !g.products[m.product] {
		return outcomeUnknown, nil
	}
	if !g.entitled[m.status] {
		return outcomeInactive, nil
	}
	match, whole := g.rules.compare(m.metadata, sent)
	switch match {
	case matches:
		return outcomeValid, nil
	case free:
		return outcomeFree, whole
	}
	if g.wasAltered(m, sent) {
		return outcomeAltered, nil
	}
	if g.rules.namesDiffer(m.metadata, sent) {
		g.adviseNames(m, sent)
	}
	return outcomeMismatch, nil
}

// ask looks a license up, together with all others who want to know the same.
// It goes on when its caller leaves, as others may be waiting with it.
func (g *gate) ask(q *query) (look, error) {
	if wait := g.clients.exhausted(q.client); wait > 0 {
		return look{}, &limitedError{"client", wait}
	}
	l, err, _ := g.flights.Do(string(q.keyTag[:]), func() (any, error) {
		return g.lookUp(q)
	})
	return l.(look), err
}

// lookUp asks Whop about a license key, at the cost of the client that asked
// first, and remembers the answer.
func (g *gate) lookUp(q *query) (look, error) {
	g.clients.charge(q.client)
	wait, ok := g.licenses.pace(q.keyTag, licensePatience)
	if !ok {
		return look{}, &limitedError{"license", wait}
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait+2*g.whop.timeout)
	defer cancel()
	if err := sleep(ctx, wait); err != nil {
		return look{}, err
	}
	l, err := g.see(ctx, q.key)
	if err == nil {
		g.cache.put(q.keyTag, l)
	}
	return l, err
}

// see looks up a license key or membership id.
func (g *gate) see(ctx context.Context, id string) (look, error) {
	l := look{asked: time.Now()}
	m, err := g.whop.lookUp(ctx, id)
	if errors.Is(err, errUnknown) {
		return l, nil
	}
	if err == nil {
		err = g.review(m)
	}
	if err != nil {
		return look{}, err
	}
	l.m, l.tag = m, g.tags.of("membership", []byte(m.id))
	return l, nil
}

// machine is the tag of one machine with one membership, by whatever key it
// asks.
func (g *gate) machine(member tag, q *query) tag { return g.tags.machine(member, q.sent) }

func (t tagger) machine(member tag, sent metadata) tag {
	return t.of("machine", append(member[:], sent.canonical()...))
}

func (g *gate) markRefused(ctx context.Context, machine tag) error {
	if g.store != nil {
		return g.store.markRefused(ctx, machine)
	}
	g.refused.Add(machine, struct{}{})
	return nil
}

func (g *gate) wasRefused(ctx context.Context, machine tag) bool {
	if g.store != nil {
		return g.store.wasRefused(ctx, machine)
	}
	return g.refused.Contains(machine)
}

// forget empties the cache for a membership on every gateway.
func (g *gate) forget(ctx context.Context, member tag) error {
	g.cache.drop(member)
	return g.tell(ctx, member)
}

// tell lets the other gateways know that a membership changed.
func (g *gate) tell(ctx context.Context, member tag) error {
	if g.store == nil {
		return nil
	}
	return g.store.publish(ctx, member)
}
