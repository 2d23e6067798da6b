package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"reflect"
	"sync"
	"time"

	"github.com/rs/cors"
)

// maxBody bounds a request's body.
const maxBody = 64 << 10

// An operation is what a request does at Whop's API; faults, rate limits and
// statistics distinguish requests by it.
type operation string

const (
	opValidate   operation = "v2.validate"
	opGet        operation = "v1.get"
	opPatch      operation = "v1.patch"
	opAccount    operation = "v1.account"
	opProduct    operation = "v1.product"
	opProducts   operation = "v1.products"
	opRedirected operation = "redirected" // a client followed a redirect
	opPreflight  operation = "preflight"
	opUnknown    operation = "unknown" // no such route
)

// success is the status of a successful answer.
func (op operation) success() int {
	if op == opValidate {
		return http.StatusCreated
	}
	return http.StatusOK
}

type simulator struct {
	cfg      config
	apiKey   [sha256.Size]byte
	webhooks *webhooks
	journal  *journal

	mu         sync.Mutex
	store      store
	random     *rand.Rand
	rateLimits map[operation]*rateLimit
	idempotent idempotency
	keyVersion string // that the API key has
	outage     string // the name of a fault, or empty
	latency    time.Duration
	jitter     time.Duration
}

func newSimulator(cfg config) (*simulator, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	hooks, err := newWebhooks(cfg.WebhookURL, cfg.WebhookSecret, cfg.WebhookVersion)
	if err != nil {
		return nil, err
	}
	s := &simulator{
		cfg:      cfg,
		apiKey:   sha256.Sum256([]byte(cfg.APIKey)),
		webhooks: hooks,
		journal:  newJournal(),
		store:    newStore(),
		random:   rand.New(rand.NewPCG(cfg.Seed, cfg.Seed)),
		rateLimits: map[operation]*rateLimit{
			opValidate: {max: cfg.RateLimit, window: 10 * time.Second, coolDown: time.Minute},
			opGet:      {max: cfg.RateLimitV1, window: time.Minute},
			opPatch:    {max: cfg.RateLimitV1, window: time.Minute},
			opAccount:  {max: cfg.RateLimitV1, window: time.Minute},
			opProduct:  {max: cfg.RateLimitV1, window: time.Minute},
			opProducts: {max: cfg.RateLimitV1, window: time.Minute},
		},
		idempotent: newIdempotency(),
		keyVersion: cfg.APIKeyVersion,
		latency:    cfg.Latency,
		jitter:     cfg.LatencyJitter,
	}
	if cfg.Memberships == "" {
		return s, nil
	}
	list, err := loadMemberships(cfg.Memberships)
	if err != nil {
		return nil, fmt.Errorf("--memberships: %w", err)
	}
	for i := range list {
		if err := s.store.add(&list[i]); err != nil {
			return nil, fmt.Errorf("--memberships: %s: [%d].%w", cfg.Memberships, i, err)
		}
	}
	return s, nil
}

func (s *simulator) handler() http.Handler {
	mux := http.NewServeMux()
	crossOrigin := func(h http.Handler) http.Handler { return h }
	if len(s.cfg.CORSOrigin) > 0 {
		crossOrigin = cors.New(cors.Options{
			AllowedOrigins: s.cfg.CORSOrigin,
			AllowedMethods: []string{http.MethodGet, http.MethodPost},
			AllowedHeaders: []string{"Authorization", "Content-Type", "Accept"},
			ExposedHeaders: []string{"Retry-After"},
			MaxAge:         600,
		}).Handler
	}
	api := func(pattern string, op operation, process func(*exchange) answer) {
		mux.Handle(pattern, s.record(op, func(c *exchange) {
			crossOrigin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.serve(c, process) })).ServeHTTP(c.w, c.r)
		}))
	}
	api("POST /api/v2/memberships/{key}/validate_license", opValidate, s.process)
	api("GET /api/v1/memberships/{key}", opGet, s.process)
	api("PATCH /api/v1/memberships/{key}", opPatch, s.process)
	api("GET /api/v1/accounts/me", opAccount, s.account)
	api("GET /api/v1/products", opProducts, s.listProducts)
	api("GET /api/v1/products/{key}", opProduct, s.product)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch} {
		api(method+" /api/redirected/{op}/{key}", opRedirected, s.redirected)
	}
	api("OPTIONS /api/", opPreflight, notAllowed)
	api("/api/", opUnknown, unknownRoute)
	api("/api", opUnknown, unknownRoute) // or else the mux redirects it
	s.control(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusNotFound, map[string]any{"error": "no such route; the README lists them"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect to the clean path, which Whop is not known to do.
		if p := r.URL.EscapedPath(); p != path.Clean("/"+p) {
			s.record(opUnknown, func(c *exchange) { c.write(unknownRoute(c)) }).ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// An exchange is one API request and the answer to it.
type exchange struct {
	op    operation
	w     *recorder
	r     *http.Request
	entry *entry
	body  []byte
	fault fault // the fault to apply to the answer
	delay time.Duration

	version apiVersion // which v2 has none of
}

func (c *exchange) key() string { return c.r.PathValue("key") }

// serve reads the request, waits for the latency, and answers.
func (s *simulator) serve(c *exchange, process func(*exchange) answer) {
	data, err := readBody(c.w, c.r)
	if err != nil {
		a := apiError(c.op, http.StatusBadRequest, "invalid_request", "The body could not be read")
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			a = apiError(c.op, http.StatusRequestEntityTooLarge, "invalid_request", "The body is too large")
		}
		c.write(a)
		return
	}
	c.body = data
	s.journal.setBody(c.entry, data)

	s.mu.Lock()
	latency, outage := s.latency, s.outage
	if s.jitter > 0 {
		latency += time.Duration(s.random.Int64N(int64(s.jitter)))
	}
	s.mu.Unlock()
	if !c.wait(latency) {
		abort()
	}
	var a answer
	if outage != "" && c.op != opRedirected {
		c.fault = faults[outage]
		s.journal.setFault(c.entry, outage)
		a = c.fault.instead(c, &membership{id: "mem_outage", faultRetryAfter: "1"})
	} else {
		a = process(c)
	}
	if c.fault.send != nil {
		c.fault.send(c, a, c.delay)
		return
	}
	c.write(a)
}

// readBody bounds a body's size, and the time to receive it. The server's own
// ReadTimeout is not used, because it would also end a request that is being
// held.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	controller := http.NewResponseController(w)
	if err := controller.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return data, controller.SetReadDeadline(time.Time{})
}

// A result is the outcome of an operation on a membership.
type result struct {
	failed     *answer
	membership membership // as it is after the operation
	wrote      bool
	replayed   *answer // the answer to an earlier request with the same idempotency key
}

// process does what all operations share. It decides who may send the request, how
// often, which membership it is about, and whether a fault applies.
func (s *simulator) process(c *exchange) answer {
	if c.op == opValidate && s.cfg.RetireV2 {
		return apiError(c.op, http.StatusGone, "", "API v2 was retired. Use https://api.whop.com/api/v1.")
	}
	if a, ok := s.admit(c); !ok {
		return a
	}
	shape := shapeV2
	if c.op != opValidate {
		var err error
		if c.version, err = s.versionFor(c); err != nil {
			return apiError(c.op, http.StatusBadRequest, "invalid_request", err.Error())
		}
		shape = c.version.shape
	}
	if c.op != opGet && !isJSON(c.r) {
		return apiError(c.op, http.StatusUnsupportedMediaType, "invalid_request", "Content-Type must be application/json")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.store.find(c.key())
	if m == nil || c.op == opPatch && m.id != c.key() {
		return notFound(c)
	}
	f, armed := s.armed(c.op, m)
	if armed && f.instead != nil {
		s.fire(c, f, m)
		return f.instead(c, m)
	}

	before := m.metadata
	r := s.perform(c, m)
	if r.failed != nil {
		return *r.failed
	}
	if r.replayed != nil {
		return *r.replayed
	}
	fields := shape(&r.membership)
	good := answer{status: c.op.success(), body: encode(fields)}
	if r.wrote && c.op == opPatch {
		s.idempotent.keep(c, good)
	}
	if armed && (f.when == nil || f.when(r)) {
		s.fire(c, f, m)
		good = s.spoil(c, f, m, &r.membership, fields)
	}
	if !reflect.DeepEqual(before, m.metadata) {
		s.webhooks.changed(m)
	}
	return good
}

// perform executes the operation. The caller holds the lock.
func (s *simulator) perform(c *exchange, m *membership) result {
	switch c.op {
	case opValidate:
		return s.validate(c, m)
	case opPatch:
		return s.patch(c, m)
	}
	return result{membership: *m}
}

// spoil applies a fault to an operation that was executed, and returns the
// answer.
func (s *simulator) spoil(c *exchange, f fault, m, answered *membership, fields map[string]any) answer {
	if f.then != nil {
		f.then(m)
	}
	if f.alter != nil {
		m.metadata = f.alter(m.metadata)
		fields["metadata"] = m.metadata
	}
	if f.later {
		s.putOff(m)
	}
	if f.edit != nil {
		f.edit(c.op, answered, fields)
	}
	if f.page {
		return htmlPage(f.status)
	}
	a := answer{status: cmp.Or(f.status, c.op.success()), body: encode(fields)}
	if f.raw != nil {
		a.body = f.raw(c.op, a.body)
	}
	return a
}

// armed returns the fault that the membership has for op. It reports false if there is
// none, if it is used up, or if chance spares the request.
func (s *simulator) armed(op operation, m *membership) (fault, bool) {
	f := faults[m.fault]
	if m.fault == "" || !f.concerns(op, m.faultOn) || m.faultTimes > 0 && m.fired >= m.faultTimes {
		return fault{}, false
	}
	if m.chance == nil {
		// Each membership has its own, so that other requests have no influence on it.
		sum := sha256.Sum256([]byte(m.id))
		m.chance = rand.New(rand.NewPCG(s.cfg.Seed, binary.BigEndian.Uint64(sum[:])))
	}
	return f, m.chance.Float64() < m.faultProbability
}

func (s *simulator) fire(c *exchange, f fault, m *membership) {
	m.fired++
	c.fault, c.delay = f, m.faultDelay
	s.journal.setFault(c.entry, m.fault)
}

// putOff reverts a write, and repeats it after the fault's delay, overwriting
// whatever was written in between.
func (s *simulator) putOff(m *membership) {
	next := m.metadata
	m.metadata = m.previous
	time.AfterFunc(m.faultDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.write(next)
		s.webhooks.changed(m)
	})
}

func notFound(c *exchange) answer {
	return apiError(c.op, http.StatusNotFound, "not_found", "No such Membership found with the provided ID: "+c.key())
}

func unknownRoute(c *exchange) answer {
	return apiError(c.op, http.StatusNotFound, "not_found", "No such route: "+c.r.Method+" "+c.r.URL.Path)
}

// notAllowed answers a preflight if no origin is allowed.
func notAllowed(c *exchange) answer {
	return apiError(c.op, http.StatusMethodNotAllowed, "method_not_allowed", "OPTIONS is not allowed")
}

// redirected answers a client that followed a redirect, with a membership that looks
// entitled to everything.
func (s *simulator) redirected(c *exchange) answer {
	yes := true
	m := membership{id: c.key(), status: "active", metadata: map[string]any{}}
	s.mu.Lock()
	if found := s.store.find(c.key()); found != nil {
		m = *found
	}
	s.mu.Unlock()
	m.status, m.valid = "active", &yes
	if c.r.PathValue("op") == string(opValidate) {
		return answer{status: http.StatusOK, body: encode(shapeV2(&m))}
	}
	return answer{status: http.StatusOK, body: encode(versions[0].shape(&m))}
}
