// Package api is the gateway's HTTP toward apps: routes, CORS, limits, answers,
// proofs and leases, and Whop's webhooks. It decides nothing about licenses.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

const (
	maxBody = 64 << 10
	// smallBody is what a body may take without a share of bodiesAtOnce. What apps
	// send to name a machine is smaller.
	smallBody = 4 << 10
	// bodiesAtOnce is how much memory all larger bodies may take at once.
	bodiesAtOnce = 16 << 20

	validateSuffix = "/validate_license"
)

// validateWords are the parts of the path before the license key.
var validateWords = [...]string{"api", "v2", "memberships"}

// Checker decides what apps are answered.
type Checker interface {
	// Check answers a query. An error is the lack of an answer.
	Check(ctx context.Context, q *check.Query) (check.Verdict, error)
	// Forget drops what is remembered of a membership, on all gateways.
	Forget(ctx context.Context, membershipID string) error
}

// Metrics count what is answered.
type Metrics interface {
	// Validated counts a validation by its outcome: a verdict's, or the code of the
	// error.
	Validated(outcome string)
	// Answered notes how long it took to answer a validation for which Whop was
	// asked.
	Answered(took time.Duration)
	// ProxyProblem counts a validation that shows that a proxy's clients can't be
	// told apart: a trusted proxy named none of them ("no_header"), or somebody did
	// who is no trusted proxy ("not_trusted").
	ProxyProblem(problem string)
	// WebhookTaken counts a webhook by what came of it: "applied", "ignored",
	// "repeated", "refused" or "failed".
	WebhookTaken(result string)
	// Limited counts a validation that was answered 429, by the limit.
	Limited(limit string)
}

// Notices are messages to the seller, each of them logged once in a while.
type Notices interface {
	// General logs a message that concerns more than one license, at most once in
	// the given span of time for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config is what an [API] works by and with. Every field but the lists and the
// webhooks' is needed.
type Config struct {
	Checker Checker
	Rules   binding.Rules // for what apps may send
	Proofs  Proofs        // [Unsigned] where there is no signing key

	AllowedOrigins []string       // origins whose pages may call the gateway
	TrustedProxies []netip.Prefix // proxies whose X-Forwarded-For is believed

	WebhookSecret string // empty: no webhooks are taken
	ReadEvent     EventReader

	Notices Notices
	Metrics Metrics
	Log     *slog.Logger
}

// API answers the gateway's callers.
type API struct {
	checker  Checker
	rules    binding.Rules
	proofs   Proofs
	trusted  []netip.Prefix
	origins  *origins
	webhooks http.Handler
	routes   http.Handler // with CORS
	ready    atomic.Bool
	draining atomic.Bool
	withheld func() string // why no app can be served, or ""
	inFlight *inFlight
	bodies   *bodies
	notices  Notices
	metrics  Metrics
	log      *slog.Logger

	untrusted, unnamed sync.Once // what the seller was told of a proxy in front
}

// New returns an API that is not ready yet.
func New(c Config) *API {
	shared := newBodies()
	a := &API{
		checker:  c.Checker,
		bodies:   shared,
		inFlight: newInFlight(),
		rules:    c.Rules,
		proofs:   c.Proofs,
		trusted:  c.TrustedProxies,
		origins:  newOrigins(c.AllowedOrigins, c.Log),
		webhooks: newWebhooks(c, shared),
		notices:  c.Notices,
		metrics:  c.Metrics,
		log:      c.Log,
		withheld: func() string { return "" },
	}
	a.routes = a.origins.handler(a.route)
	return a
}

// SetReady lets /readyz say that requests should be sent here. All requests are
// served either way.
func (a *API) SetReady() { a.ready.Store(true) }

// Withhold lets /readyz say no for as long as reason returns one. Only
// [API.ServeHealth] tells it. It is called before the first request.
func (a *API) Withhold(reason func() string) { a.withheld = reason }

// Ready reports whether requests should be sent here.
func (a *API) Ready() bool {
	return a.ready.Load() && !a.draining.Load() && a.withheld() == ""
}

// Drain lets /readyz say from now on that no more requests should be sent here.
// They are still served, but each connection ends with its next answer, so that
// none is idle, and about to be used again, when the server closes it.
func (a *API) Drain() { a.draining.Store(true) }

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("a request made the gateway panic; this is a bug", "panic", p, "stack", string(debug.Stack()))
			writeError(w, errorAnswer{Status: http.StatusInternalServerError, Code: "internal", Message: "The license server failed"})
		}
	}()
	if a.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	if !shedHeaders(r) {
		http.Error(w, "The address or the headers are too long.", http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	a.routes.ServeHTTP(w, r)
}

func (a *API) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	_, validate := licenseSegment(path)
	switch {
	case validate:
		a.serveValidate(w, r)
	case path == "/webhooks/whop":
		end, ok := a.inFlight.begin(clientAddr(r, a.trusted))
		if !ok {
			writeError(w, unavailable(time.Second))
			return
		}
		defer end()
		a.webhooks.ServeHTTP(w, r)
	case path == "/.well-known/jwks.json":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			writeJSON(w, http.StatusOK, a.proofs.keys())
		}
	case path == "/healthz":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}
	case path == "/readyz":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			a.serveReady(w, "")
		}
	default:
		writeNotHere(w, r)
	}
}

// licenseSegment returns what stands in place of the license key in a path, or
// false for another path. Slashes too many are forgiven, as an app that joins
// its base URL with one would take the 404 for an unknown license.
func licenseSegment(path string) (segment string, ok bool) {
	for _, word := range validateWords {
		rest := strings.TrimLeft(path, "/")
		if rest == path {
			return "", false
		}
		if path, ok = strings.CutPrefix(rest, word); !ok {
			return "", false
		}
	}
	segment, ok = strings.CutSuffix(strings.TrimRight(path, "/"), validateSuffix)
	return strings.Trim(segment, "/"), ok && strings.HasPrefix(segment, "/")
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeError(w, errorAnswer{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "Use " + strings.Join(methods, " or ")})
	return false
}

// ServeHealth answers /healthz and /readyz to the seller, who learns why no app
// can be served. The reason may hold an email address or name files.
func (a *API) ServeHealth(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		a.serveReady(w, a.withheld())
		return
	}
	a.ServeHTTP(w, r)
}

func (a *API) serveReady(w http.ResponseWriter, reason string) {
	answer, status := map[string]string{"status": "not ready"}, http.StatusServiceUnavailable
	if reason != "" {
		answer["reason"] = reason
	} else if a.Ready() {
		answer["status"], status = "ready", http.StatusOK
	}
	writeJSON(w, status, answer)
}
