// Package check decides whether a license is valid on a machine: it looks the
// license up, compares what is stored with what was sent, binds the license to
// the machine if there is a free place, and remembers what it saw. It declares
// what it needs as interfaces, so that a program other than this server can use
// it. It knows nothing of HTTP, Redis or flags.
package check

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// answerTime is how long after its arrival a check may still begin a binding.
// Clients commonly give up after 15 s.
const answerTime = 14 * time.Second

// Config configures a [Checker]. Every field is required; a single gateway uses
// [Alone] and [LocalRefusals].
type Config struct {
	Rules      binding.Rules
	Products   []string // whose licenses are accepted, by id
	Entitled   []string // membership statuses that entitle the customer
	Documented []string // all statuses that Whop documents

	CacheTTL        time.Duration // how long a valid license is not looked up again
	StaleIfError    time.Duration // how long a valid license stays valid while Whop can't be asked
	UpstreamTimeout time.Duration // for one call to Whop
	ClientLimit     int           // look-ups per minute that one client may cause; 0 means no limit
	LicenseLimit    int           // look-ups per minute of one license; 0 means no limit

	Whop      Whop
	Strangers Strangers
	Exclusion Exclusion
	Peers     Peers
	Refusals  Refusals
	Notices   Notices
	Metrics   Metrics
	Audit     Audit
	Tags      tag.Tagger
	Log       *slog.Logger
}

// A Checker answers queries. It remembers what Whop says about a membership for
// a short time, and never remembers an error. Many goroutines can use it at
// once.
type Checker struct {
	rules      binding.Rules
	products   map[string]bool
	entitled   map[string]bool
	documented map[string]bool

	cacheTTL        time.Duration
	staleIfError    time.Duration
	upstreamTimeout time.Duration

	whop      Whop
	exclusion Exclusion
	peers     Peers
	refusals  Refusals
	notices   Notices
	metrics   Metrics
	audit     Audit
	tags      tag.Tagger
	log       *slog.Logger

	cache    *cache
	clients  *buckets[netip.Prefix]
	licenses *buckets[tag.Tag]
	guesses  *guesses
	seen     *lru.Cache[tag.Tag, struct{}] // license keys of our products

	strangers    Strangers
	strangersNow *semaphore.Weighted // in-flight look-ups of keys that are not in seen

	flights  singleflight.Group
	turns    *turns
	altered  *lru.Cache[tag.Tag, tag.Tag] // from a machine to what is stored in its place
	staleLog rate.Sometimes
}

// New returns a Checker that remembers nothing yet.
func New(c Config) *Checker {
	altered, _ := lru.New[tag.Tag, tag.Tag](maxCached)
	seen, _ := lru.New[tag.Tag, struct{}](maxCached)
	return &Checker{
		rules:           c.Rules,
		products:        setOf(c.Products),
		entitled:        setOf(c.Entitled),
		documented:      setOf(c.Documented),
		cacheTTL:        c.CacheTTL,
		staleIfError:    c.StaleIfError,
		upstreamTimeout: c.UpstreamTimeout,
		whop:            c.Whop,
		exclusion:       c.Exclusion,
		peers:           c.Peers,
		refusals:        c.Refusals,
		notices:         c.Notices,
		metrics:         c.Metrics,
		audit:           c.Audit,
		tags:            c.Tags,
		log:             c.Log,
		cache:           newCache(),
		clients:         newBuckets[netip.Prefix](c.ClientLimit, c.ClientLimit),
		guesses:         newGuesses(c.ClientLimit),
		seen:            seen,
		strangers:       c.Strangers,
		strangersNow:    semaphore.NewWeighted(strangersAtOnce),
		licenses:        newBuckets[tag.Tag](c.LicenseLimit, max(1, c.LicenseLimit/6)),
		turns:           newTurns(),
		altered:         altered,
		staleLog:        rate.Sometimes{Interval: time.Minute},
	}
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// Check answers a query. An error means that no verdict was reached: it is a
// [Failure], a [*LimitedError], a [*BusyError], or the context's error.
func (c *Checker) Check(ctx context.Context, q *Query) (Verdict, error) {
	if q.NotAKey {
		return Verdict{Outcome: NotFound, Source: FromKey}, nil
	}
	q.keyTag = c.tags.OfLicenseKey(q.Key)
	if known, ok := c.cache.get(q.keyTag); ok {
		if v, ok := c.fromCache(ctx, q, known); ok {
			c.metrics.CacheUsed(true)
			return v, nil
		}
	}
	c.metrics.CacheUsed(false)
	v, err := c.fromWhop(ctx, q)
	if err != nil {
		if old, ok := c.stale(ctx, q, err); ok {
			return old, nil
		}
	}
	return v, err
}

// fromWhop answers a query by a look-up, and binds the license if it has a free
// place.
func (c *Checker) fromWhop(ctx context.Context, q *Query) (Verdict, error) {
	l, err := c.lookUpShared(q)
	if err != nil {
		return Verdict{}, err
	}
	// A look-up that was in flight when this query arrived may have begun before
	// the customer reset the key, or before a webhook. So its refusal does not
	// count, nor does a result that a webhook has overtaken. A second look-up can
	// only have begun after the first had ended.
	o, _ := c.judge(l.membership, q.Sent)
	if (o == Mismatch || o == unbound || c.cache.outdated(l)) && l.asked.Before(q.Arrived) {
		if l, err = c.lookUpShared(q); err != nil {
			return Verdict{}, err
		}
		o, _ = c.judge(l.membership, q.Sent)
	}
	if time.Since(q.Arrived) > answerTime {
		return Verdict{}, &undecided{kind: tooLate, err: context.DeadlineExceeded}
	}
	v := Verdict{Outcome: o, Membership: l.membership, Source: FromWhop}
	if o == unbound {
		v, err = c.bind(ctx, q, l)
	}
	if err == nil && v.Outcome == altered {
		return Verdict{}, &undecided{kind: storedAltered, err: errors.New("what was bound is stored in another form")}
	}
	if err != nil || v.Outcome == Valid {
		return v, err
	}
	if v.Outcome == Mismatch && c.rules.NamesDiffer(v.Membership.Metadata, q.Sent) {
		c.adviseNames(v.Membership, q.Sent)
	}
	c.tellRefusal(ctx, q, l, v.Outcome)
	if l.membership != nil {
		c.refusals.NoteRefusal(context.WithoutCancel(ctx), l.tag, v.Outcome)
	}
	if v.Outcome == Mismatch && c.refusals.MarkRefused(ctx, c.machineTag(l.tag, q.Sent)) == nil {
		c.cache.refuse(l)
	}
	return v, nil
}

// fromCache answers from a recent look-up. One machine's mismatch refuses other
// machines too, but never the same machine again: it probably asks again
// because its customer has reset the key. If the refusal can't be recorded, the
// cached mismatch is not used.
func (c *Checker) fromCache(ctx context.Context, q *Query, known lookUp) (Verdict, bool) {
	o, _ := c.judge(known.membership, q.Sent)
	age := time.Since(known.asked)
	v := Verdict{Outcome: o, Membership: known.membership, Source: FromCache}
	switch {
	case o == unbound || o == altered:
		return v, false
	case o == Valid:
		return v, age < c.cacheTTL
	case age >= min(maxRefusalAge, c.cacheTTL):
		return v, false
	case o != Mismatch:
		return v, true
	}
	machine := c.machineTag(known.tag, q.Sent)
	if !c.cache.repeat(known) || c.refusals.WasRefused(ctx, machine) {
		return v, false
	}
	return v, c.refusals.MarkRefused(ctx, machine) == nil
}

// judge decides what a membership means for a machine. For a license with a free
// place it also returns the whole metadata to store.
func (c *Checker) judge(m *Membership, sent binding.Metadata) (Outcome, binding.Metadata) {
	if m == nil || !c.products[m.Product] {
		return NotFound, nil
	}
	if !c.entitled[m.Status] {
		return Inactive, nil
	}
	match, whole := c.rules.Compare(m.Metadata, sent)
	switch match {
	case binding.Matches:
		return Valid, nil
	case binding.Free:
		return unbound, whole
	}
	if c.wasAltered(m, sent) {
		return altered, nil
	}
	return Mismatch, nil
}

// machineTag returns the tag of one machine with one membership, whichever
// license key it sends.
func (c *Checker) machineTag(member tag.Tag, sent binding.Metadata) tag.Tag {
	return c.tags.Of("machine", append(member[:], sent.Canonical()...))
}
