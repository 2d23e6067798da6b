package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/rs/cors"

	"github.com/whop-license/whop-license/shared/license"
)

const (
	maxBody = 64 << 10
	// maxInFlight is how many validations may wait for an answer at once.
	maxInFlight = 1 << 14
	// answerTime is how long a validation may take before a binding is begun.
	// Clients commonly give up after 15 s.
	answerTime = 14 * time.Second

	validateSuffix = "/validate_license"
)

// validateWords are the parts of the path before the license key.
var validateWords = [...]string{"api", "v2", "memberships"}

// api answers the gateway's callers.
type api struct {
	gate     *gate
	leases   *leases // nil: nothing is signed
	trusted  []netip.Prefix
	origins  []string
	webhooks http.Handler // nil: none are taken
	validate http.Handler // with CORS
	ready    atomic.Bool
	inFlight atomic.Int64
	proxied  sync.Once // what a proxy in front is warned of
	metrics  *metrics
	log      *slog.Logger
}

func newAPI(s *settings, g *gate, m *metrics, log *slog.Logger) *api {
	a := &api{gate: g, leases: s.leases, trusted: s.trusted, origins: s.AllowedOrigin, metrics: m, log: log}
	if s.webhookSecret != "" {
		a.webhooks = newWebhooks(s.webhookSecret, g, m, log)
	}
	a.validate = cors.New(cors.Options{
		// A function and not the list: an empty list would allow every origin.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(a.origins, origin) },
		AllowedMethods:  []string{http.MethodPost},
		AllowedHeaders:  []string{"Accept", "Authorization", "Content-Type"},
		ExposedHeaders:  []string{"Retry-After"},
		MaxAge:          600,
	}).Handler(http.HandlerFunc(a.serveValidate))
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("a request made the gateway panic; this is a bug", "panic", p, "stack", string(debug.Stack()))
			writeFailure(w, failure{Status: http.StatusInternalServerError, Code: "internal", Message: "The license server failed"})
		}
	}()
	path := r.URL.EscapedPath()
	_, validate := licenseSegment(path)
	switch {
	case validate:
		a.validate.ServeHTTP(w, r)
	case path == "/webhooks/whop" && a.webhooks != nil:
		if allow(w, r, http.MethodPost) {
			a.webhooks.ServeHTTP(w, r)
		}
	case path == "/.well-known/jwks.json":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			a.leases.serveKeys(w)
		}
	case path == "/healthz":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}
	case path == "/readyz":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			a.serveReady(w)
		}
	default:
		writeNotHere(w)
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
	writeFailure(w, failure{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Message: "Use " + strings.Join(methods, " or ")})
	return false
}

func (a *api) serveReady(w http.ResponseWriter) {
	status, text := http.StatusOK, "ready"
	if !a.ready.Load() {
		status, text = http.StatusServiceUnavailable, "not ready"
	}
	writeJSON(w, status, map[string]string{"status": text})
}

func (a *api) serveValidate(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPost) {
		return
	}
	if a.inFlight.Add(1) > maxInFlight {
		a.inFlight.Add(-1)
		a.fail(w, nil, time.Now(), unavailableFailure(time.Second), nil)
		return
	}
	defer a.inFlight.Add(-1)
	q := &query{arrived: time.Now()}
	if err := a.read(w, r, q); errors.Is(err, os.ErrDeadlineExceeded) {
		a.fail(w, q, q.arrived, failure{Status: http.StatusRequestTimeout, Code: "request_timeout", Message: "The request did not arrive in time; send it again"}, nil)
		return
	} else if err != nil {
		a.fail(w, q, q.arrived, invalidRequest(err.Error()), nil)
		return
	}
	v, err := a.gate.validate(r.Context(), q)
	switch {
	case err != nil && r.Context().Err() != nil:
		a.metrics.validation("client_gone", time.Since(q.arrived))
	case err != nil:
		a.fail(w, q, q.arrived, failureOf(err), err)
	case v.outcome == outcomeValid:
		answer := newSuccess(v.m, q)
		if a.leases != nil && v.source != "stale" {
			if answer.Lease, err = a.leases.sign(v.m, q, time.Now()); err != nil {
				a.log.Error("a lease could not be signed", "error", err.Error())
				a.fail(w, q, q.arrived, failureOf(err), err)
				return
			}
		}
		a.metrics.validation("valid", time.Since(q.arrived))
		if a.log.Enabled(r.Context(), slog.LevelDebug) {
			a.log.Debug("validated", "outcome", "valid", "source", v.source, "key", license.ShortenKey(q.key))
		}
		writeJSON(w, http.StatusCreated, answer)
	default:
		a.metrics.validation(v.outcome.String(), time.Since(q.arrived))
		level := slog.LevelInfo
		if v.source == "cache" || v.source == "key" { // costs nothing, so anyone could fill the log
			level = slog.LevelDebug
		}
		a.log.Log(r.Context(), level, "validated", "outcome", v.outcome.String(), "source", v.source, "key", license.ShortenKey(q.key))
		a.refuse(w, q, refusal(v.outcome))
	}
}

// refuse answers with a verdict that says no, with its proof where the app can
// have use for one.
func (a *api) refuse(w http.ResponseWriter, q *query, f failure) {
	if a.leases != nil && q.nonce != "" {
		var err error
		if f.Proof, err = a.leases.prove(f.Code, q, time.Now()); err != nil {
			// Without it the app does not take the refusal, and its lease stands in.
			a.log.Error("the proof of a refusal could not be signed", "error", err.Error())
		}
	}
	writeFailure(w, f)
}

// fail answers with a failure that is no verdict.
func (a *api) fail(w http.ResponseWriter, q *query, arrived time.Time, f failure, err error) {
	a.metrics.validation(f.Code, time.Since(arrived))
	if err != nil {
		level := slog.LevelInfo
		if errors.As(err, new(*limitedError)) { // the same
			level = slog.LevelDebug
		}
		a.log.Log(context.Background(), level, "no verdict", "code", f.Code, "key", license.ShortenKey(q.key), "error", err.Error())
	}
	writeFailure(w, f)
}

// read takes a query from a request, or returns what is wrong with it.
func (a *api) read(w http.ResponseWriter, r *http.Request, q *query) error {
	// A page may send this much to any server without asking first, though not as
	// JSON.
	if origin := r.Header.Get("Origin"); origin != "" && !slices.Contains(a.origins, origin) && !isJSON(r.Header.Get("Content-Type")) {
		return errors.New("content-type: must be application/json; and a page whose origin is not in --allowed-origin is not answered")
	}
	q.readKey(r.URL.EscapedPath())
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return errors.New("body: is over 64 KiB")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	} else if err != nil {
		return errors.New("body: could not be read")
	}
	var request struct {
		Metadata metadata `json:"metadata"`
		Nonce    string   `json:"nonce"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return errors.New(`body: is not a JSON object such as {"metadata": {"HWID": "…"}}`)
	}
	if request.Metadata == nil {
		return errors.New("metadata: is missing; send {} to name no machine")
	}
	if err := a.gate.rules.check(request.Metadata); err != nil {
		return err
	}
	if err := checkNonce(request.Nonce); err != nil {
		return err
	}
	q.sent, q.nonce = request.Metadata, request.Nonce
	if !isTrusted(parseAddr(r.RemoteAddr), a.trusted) && r.Header.Get("X-Forwarded-For") != "" {
		a.proxied.Do(func() {
			a.log.Warn("a request names an address that it was forwarded for, and came from no trusted proxy; if a proxy of yours sent it, name it with --trusted-proxies: now all its clients are limited as if they were one")
		})
	}
	q.client = clientOf(clientAddr(r, a.trusted))
	q.keyTag = a.gate.tags.of("key", []byte(q.key))
	return nil
}

// readKey takes the license key from a path. What can't be one is kept too, as
// its refusal is proven like any other.
func (q *query) readKey(path string) {
	segment, _ := licenseSegment(path)
	raw, err := url.PathUnescape(segment)
	if err != nil || strings.Contains(segment, "/") {
		q.key, q.impossible = segment, true
	} else if q.key, err = license.ParseKey(raw); err != nil {
		q.key, q.impossible = strings.TrimSpace(raw), true
	}
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// failureOf says what a customer is told of an error. The seller's part in it
// is in the log only.
func failureOf(err error) failure {
	var up *upstreamError
	var limited *limitedError
	var busy *busyError
	switch {
	case errors.As(err, &limited):
		return rateLimited(limited.retryAfter)
	case errors.As(err, &busy):
		return unavailableFailure(busy.retryAfter)
	case errors.As(err, &up) && up.reason.refused():
		return failure{Status: http.StatusBadGateway, Code: "upstream_refused", Message: "The license server can't check licenses until its operator has acted; this says nothing about your license"}
	case errors.As(err, &up):
		return unavailableFailure(max(up.retryAfter, 2*time.Second))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailableFailure(2 * time.Second)
	default:
		return failure{Status: http.StatusInternalServerError, Code: "internal", Message: "The license server failed"}
	}
}

func unavailableFailure(retryAfter time.Duration) failure {
	return failure{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "Licenses can't be checked at the moment; try again later", retryAfter: retryAfter}
}
