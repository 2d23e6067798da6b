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
	"github.com/whop-license/whop-license/native/gateway/internal/conns"
)

const (
	maxBody = 64 << 10
	// smallBody is the size up to which a body takes no share of bodiesAtOnce. What
	// apps send to identify a machine is smaller.
	smallBody = 4 << 10
	// bodiesAtOnce is how much memory all larger bodies may take at once.
	bodiesAtOnce = 16 << 20

	validateSuffix = "/validate_license"
)

// validatePrefixes are the parts of the path before the license key. Whop served
// v2 without "/api", too.
var validatePrefixes = [...][]string{{"api", "v2", "memberships"}, {"v2", "memberships"}}

// Checker decides what to answer apps.
type Checker interface {
	// Check answers a query. An error means that no verdict was reached.
	Check(ctx context.Context, q *check.Query) (check.Verdict, error)
	// Forget drops what is remembered about a membership, on all gateways.
	Forget(ctx context.Context, membershipID string) error
}

// Metrics counts answers.
type Metrics interface {
	// Validated counts a validation by its outcome: a verdict's, or the code of the
	// error.
	Validated(outcome string)
	// Answered records how long it took to answer a validation for which Whop was
	// asked.
	Answered(took time.Duration)
	// ProxyProblem counts a validation that shows that a proxy's clients can't be
	// told apart: a trusted proxy sent no X-Forwarded-For ("no_header"), or a peer
	// that is not a trusted proxy sent one ("not_trusted").
	ProxyProblem(problem string)
	// WebhookTaken counts a webhook by its result: "applied", "ignored",
	// "repeated", "refused" or "failed".
	WebhookTaken(result string)
	// Limited counts a validation that was answered 429, by the limit.
	Limited(limit string)
}

// Notices logs messages to the seller, each at most once in a while.
type Notices interface {
	// General logs a message that concerns more than one license, at most once per
	// interval for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config configures an [API]. Every field but the lists and the webhooks' is
// required.
type Config struct {
	Checker Checker
	Rules   binding.Rules // for what apps may send
	Proofs  Proofs        // [Unsigned] where there is no signing key

	AllowedOrigins []string       // origins whose pages may call the gateway
	TrustedProxies []netip.Prefix // proxies whose X-Forwarded-For is trusted

	WebhookSecret string // empty: webhooks are not accepted
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
	blocked  func() string // why the gateway is not ready, or ""
	inFlight *inFlight
	bodies   *bodies
	notices  Notices
	metrics  Metrics
	log      *slog.Logger

	untrusted, unnamed sync.Once // warnings about a proxy in front, each logged once
}

// New returns an API that is not ready yet.
func New(c Config) *API {
	shared := newBodies()
	a := &API{
		checker:  c.Checker,
		bodies:   shared,
		inFlight: newInFlight(shared),
		rules:    c.Rules,
		proofs:   c.Proofs,
		trusted:  c.TrustedProxies,
		origins:  newOrigins(c.AllowedOrigins, c.Log),
		webhooks: newWebhooks(c, shared),
		notices:  c.Notices,
		metrics:  c.Metrics,
		log:      c.Log,
		blocked:  func() string { return "" },
	}
	a.routes = a.origins.handler(a.route)
	return a
}

// SetReady makes /readyz answer that requests should be sent here. All requests
// are served either way.
func (a *API) SetReady() { a.ready.Store(true) }

// BlockReadiness makes /readyz answer 503 for as long as reason returns one.
// Only [API.ServeHealth] shows the reason. It must be called before the first
// request.
func (a *API) BlockReadiness(reason func() string) { a.blocked = reason }

// Ready reports whether requests should be sent here.
func (a *API) Ready() bool {
	return a.ready.Load() && !a.draining.Load() && a.blocked() == ""
}

// Drain makes /readyz answer from now on that no more requests should be sent
// here. They are still served, but each connection is closed after its next
// answer, so that none is idle and about to be reused when the server closes
// it.
func (a *API) Drain() { a.draining.Store(true) }

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("a request made the gateway panic; this is a bug", "panic", p, "stack", string(debug.Stack()))
			writeError(w, errorAnswer{Status: http.StatusInternalServerError, Code: "internal", Message: "The license server failed"})
		}
	}()
	if r.Body == http.NoBody {
		defer conns.Busy(r.Context())()
	}
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
		writeNoSuchPath(w, r)
	}
}

// licenseSegment returns the segment of a path that holds the license key, or
// false for another path. Extra slashes are ignored: an app that joins its base
// URL with one too many would take the 404 for an unknown license.
func licenseSegment(path string) (segment string, ok bool) {
	for _, words := range validatePrefixes {
		rest, found := cutWords(path, words)
		if !found {
			continue
		}
		segment, ok = strings.CutSuffix(strings.TrimRight(rest, "/"), validateSuffix)
		return strings.Trim(segment, "/"), ok && strings.HasPrefix(segment, "/")
	}
	return "", false
}

// cutWords removes words from the start of a path, each after one slash or more.
func cutWords(path string, words []string) (rest string, ok bool) {
	for _, word := range words {
		trimmed := strings.TrimLeft(path, "/")
		if trimmed == path {
			return "", false
		}
		if path, ok = strings.CutPrefix(trimmed, word); !ok {
			return "", false
		}
	}
	return path, true
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeError(w, errorAnswer{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "Use " + strings.Join(methods, " or ")})
	return false
}

// ServeHealth answers /healthz and /readyz to the seller, including the reason
// why the gateway is not ready. The reason may contain an email address or file
// names.
func (a *API) ServeHealth(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		a.serveReady(w, a.blocked())
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
