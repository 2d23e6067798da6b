package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpproxy"
	"golang.org/x/net/http/httpproxy"

	"github.com/whop-license/whop-license/shared/license"
	"github.com/whop-license/whop-license/shared/version"
)

// maxUpstreamBody is far above any membership: 50 metadata values of 500
// characters are under 64 KiB.
const maxUpstreamBody = 256 << 10

// operation is a call that Whop limits by itself.
type operation string

const (
	opLookUp operation = "look_up"
	opWrite  operation = "write"
)

// errUnknown says that Whop has no such membership. It is an answer; every
// other error of the upstream is the lack of one.
var errUnknown = errors.New("no such membership")

// upstreamError is the lack of an answer from Whop.
type upstreamError struct {
	// refused is the seller's fault (a wrong API key, a missing permission, a
	// wrong setting): asking again does not help until the seller has acted.
	refused    bool
	reason     string        // a short, stable name for metrics
	retryAfter time.Duration // how long to leave Whop alone, where known
	err        error
}

func (e *upstreamError) Error() string { return "whop: " + e.reason + ": " + e.err.Error() }
func (e *upstreamError) Unwrap() error { return e.err }

// passing reports whether the same call may succeed at once.
func (e *upstreamError) passing() bool { return !e.refused && e.retryAfter == 0 }

func unavailable(reason string, err error) *upstreamError {
	return &upstreamError{reason: reason, err: err}
}

// whop speaks the Current API of Whop with the seller's API key.
type whop struct {
	base    string // the URL, without a slash at its end
	headers map[string]string
	timeout time.Duration
	tags    tagger
	client  *fasthttp.HostClient
	budget  budget
	circuit *circuit
	pauses  map[operation]*pause
	metrics *metrics
	log     *slog.Logger
}

func newWhop(s *settings, tags tagger, b budget, m *metrics, log *slog.Logger) *whop {
	w := &whop{
		base:    s.upstream.String(),
		headers: map[string]string{"Authorization": "Bearer " + s.apiKey, "Accept": "application/json"},
		timeout: s.UpstreamTimeout,
		tags:    tags,
		budget:  b,
		circuit: newCircuit(m, log),
		pauses:  map[operation]*pause{opLookUp: {}, opWrite: {}},
		metrics: m,
		log:     log,
		// Every uncached validation is a call to Whop. This client makes one for
		// well under half of what net/http's costs.
		client: &fasthttp.HostClient{
			// The port is added here, because our own dialer is given this as it is.
			Addr:                      fasthttp.AddMissingPort(s.upstream.Host, s.upstream.Scheme == "https"),
			IsTLS:                     s.upstream.Scheme == "https",
			Name:                      "whop-license-gateway/" + version.Version,
			DialTimeout:               dialer(s.upstream, s.UpstreamTimeout),
			TLSConfig:                 &tls.Config{MinVersion: tls.VersionTLS12},
			MaxConns:                  256,
			MaxConnWaitTimeout:        s.UpstreamTimeout,
			MaxIdleConnDuration:       30 * time.Second,
			MaxIdemponentCallAttempts: 3, // look-ups only: the server may just have closed an idle connection
			MaxResponseBodySize:       maxUpstreamBody,
			ReadBufferSize:            16 << 10, // also what an answer's header may take
			DisablePathNormalizing:    true,
			SecureErrorLogMessage:     true,
		},
	}
	if s.APIVersionDate != "" {
		w.headers["Api-Version-Date"] = s.APIVersionDate
	}
	return w
}

// dialer connects directly, or through the proxy that the environment names
// (HTTPS_PROXY, NO_PROXY).
func dialer(upstream *url.URL, limit time.Duration) fasthttp.DialFuncWithTimeout {
	if proxy, err := httpproxy.FromEnvironment().ProxyFunc()(upstream); err == nil && proxy == nil {
		return func(addr string, timeout time.Duration) (net.Conn, error) {
			if timeout <= 0 || timeout > limit {
				timeout = limit
			}
			return net.DialTimeout("tcp", addr, timeout)
		}
	}
	through := &fasthttpproxy.Dialer{DialDualStack: true, Timeout: limit, ConnectTimeout: limit}
	dial, err := through.GetDialFuncForTLS(true, upstream.Scheme == "https")
	return func(addr string, _ time.Duration) (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		return dial(addr)
	}
}

// lookUp returns the membership with the given license key or mem_ id, or
// [errUnknown], or an [upstreamError]. A failure that may pass by itself is
// asked about once more.
func (w *whop) lookUp(ctx context.Context, id string) (*membership, error) {
	m, err := w.call(ctx, opLookUp, id, nil, "")
	var up *upstreamError
	if !errors.As(err, &up) || !up.passing() {
		return m, err
	}
	select {
	case <-ctx.Done():
		return nil, err
	case <-time.After(10*time.Millisecond + rand.N(40*time.Millisecond)):
		return w.call(ctx, opLookUp, id, nil, "")
	}
}

// setMetadata stores the whole metadata of a membership. After an error it may
// or may not have been stored; only a look-up tells. Repeated with the same
// idempotency key it is stored once.
func (w *whop) setMetadata(ctx context.Context, id string, whole metadata, idempotencyKey string) error {
	body, err := json.Marshal(map[string]metadata{"metadata": whole}, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.call(ctx, opWrite, id, body, idempotencyKey)
	return err
}

// call makes one call within the limits of time, quota and circuit.
func (w *whop) call(ctx context.Context, op operation, id string, body []byte, idempotencyKey string) (*membership, error) {
	pause, member := w.pauses[op], w.tags.of("call", []byte(id))
	if wait := pause.remaining(member, time.Now()); wait > 0 {
		w.metrics.upstream(op, "paused", 0)
		return nil, &upstreamError{reason: "paused", retryAfter: wait, err: errors.New("asked to be left alone")}
	}
	if err := w.circuit.open(); err != nil { // before it costs anything of the quota
		return nil, err
	}
	if err := w.budget.take(ctx, op); err != nil {
		w.metrics.upstream(op, "over_budget", 0)
		return nil, err
	}
	m, err := w.circuit.run(member, func() (*membership, error) {
		start := time.Now()
		deadline := start.Add(w.timeout)
		if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
			deadline = end
		}
		m, err := w.exchange(op, id, body, idempotencyKey, deadline)
		w.metrics.upstream(op, resultName(err), time.Since(start))
		return m, err
	})
	var up *upstreamError
	if errors.As(err, &up) && up.reason == "rate_limited" {
		pause.begin(member, time.Now(), up.retryAfter)
	}
	w.logFailure(ctx, op, id, err)
	return m, err
}

// exchange sends one request and reads its answer. A look-up returns the
// membership; a write's own answer is not read, as a look-up follows.
func (w *whop) exchange(op operation, id string, body []byte, idempotencyKey string, deadline time.Time) (*membership, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(w.base + "/memberships/" + url.PathEscape(id))
	for name, value := range w.headers {
		req.Header.Set(name, value)
	}
	if op == opWrite {
		req.Header.SetMethod(fasthttp.MethodPatch)
		req.Header.SetContentType("application/json")
		req.Header.Set("Idempotency-Key", idempotencyKey)
		req.SetBodyRaw(body)
	}
	if err := w.client.DoDeadline(req, resp, deadline); err != nil {
		return nil, unavailable(transportReason(err), loggable(err))
	}
	status := resp.StatusCode()
	switch {
	case status == http.StatusOK && op == opLookUp:
		m, err := parseMembership(resp.Body(), id)
		if err != nil {
			return nil, unavailable("bad_answer", err)
		}
		return m, nil
	case status/100 == 2 && op == opWrite:
		return nil, nil
	}
	return nil, readFailure(status, string(resp.Header.Peek("Retry-After")), resp.Body())
}

// readFailure turns an answer that is no success into an error.
func readFailure(code int, after string, body []byte) error {
	status := fmt.Errorf("status %d", code)
	switch {
	case code == http.StatusNotFound:
		if !isErrorObject(body) {
			return unavailable("bad_answer", errors.New("a 404 that is not Whop's"))
		}
		return errUnknown
	case code == http.StatusUnauthorized:
		return &upstreamError{refused: true, reason: "unauthorized", err: status}
	case code == http.StatusForbidden:
		return &upstreamError{refused: true, reason: "forbidden", err: status}
	case code == http.StatusTooManyRequests:
		return &upstreamError{reason: "rate_limited", retryAfter: retryAfter(after, body), err: status}
	case code == http.StatusRequestTimeout:
		return unavailable("unanswered", status)
	case code/100 == 5:
		e := unavailable("failing", status)
		// By what stands between, which did not get Whop's own answer. Above 520 are
		// those of Cloudflare.
		if code == http.StatusBadGateway || code == http.StatusGatewayTimeout || code >= 520 {
			e.reason = "unanswered"
		}
		if after != "" {
			e.retryAfter = retryAfter(after, nil)
		}
		return e
	case code/100 == 4:
		return &upstreamError{refused: true, reason: "bad_request", err: status}
	default:
		return unavailable("bad_answer", status)
	}
}

// isErrorObject reports whether a body is one of the shapes in which Whop gives
// errors, so that a proxy's 404 page is not taken for an unknown license.
func isErrorObject(body []byte) bool {
	var shape struct {
		Error   jsontext.Value `json:"error"`
		Message jsontext.Value `json:"message"`
	}
	given := func(v jsontext.Value) bool { return v != nil && v.Kind() != 'n' }
	return json.Unmarshal(body, &shape) == nil && (given(shape.Error) || given(shape.Message))
}

var tryAgainIn = regexp.MustCompile(`(?i)try again in (\d{1,4}) ?s`)

// retryAfter reads how long Whop wants to be left alone from its header or from
// its message ("Try again in 12 seconds."), between 1 s and 2 min.
func retryAfter(header string, body []byte) time.Duration {
	wait := 10 * time.Second
	if header != "" {
		if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
			wait = time.Duration(seconds) * time.Second
		} else if at, err := http.ParseTime(header); err == nil {
			wait = time.Until(at)
		}
	} else if found := tryAgainIn.FindSubmatch(body); found != nil {
		seconds, _ := strconv.Atoi(string(found[1]))
		wait = time.Duration(seconds) * time.Second
	}
	return min(max(wait, time.Second), 2*time.Minute)
}

func transportReason(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return "bad_answer"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "unreachable"
	}
}

// errNotHTTP stands for what the HTTP client says of an answer that it can't
// read, because it quotes from it.
var errNotHTTP = errors.New("the answer was cut off or is not HTTP")

// loggable returns a transport's error if it tells of the connection only.
func loggable(err error) error {
	var (
		network *net.OpError
		name    *net.DNSError
		trust   *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	for _, known := range []error{fasthttp.ErrTimeout, fasthttp.ErrDialTimeout, fasthttp.ErrNoFreeConns, fasthttp.ErrConnectionClosed, fasthttp.ErrBodyTooLarge} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.As(err, &network) || errors.As(err, &name) || errors.As(err, &trust) || errors.As(err, &record) || errors.As(err, &alert) {
		return err
	}
	return errNotHTTP
}

func resultName(err error) string {
	var up *upstreamError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, errUnknown):
		return "unknown"
	case errors.As(err, &up):
		return up.reason
	default:
		return "error"
	}
}

// logFailure says on the seller's side what customers are not told.
func (w *whop) logFailure(ctx context.Context, op operation, id string, err error) {
	var up *upstreamError
	if !errors.As(err, &up) {
		return
	}
	level, msg := slog.LevelWarn, "Whop did not answer"
	switch {
	case up.reason == "unauthorized":
		level, msg = slog.LevelError, "Whop refuses the API key: it is wrong or was revoked; set WHOP_API_KEY to a valid one"
	case up.reason == "forbidden" && op == opLookUp:
		level, msg = slog.LevelError, "Whop refuses a look-up: give the API key the permissions member:basic:read and member:email:read"
	case up.reason == "forbidden":
		level, msg = slog.LevelError, "Whop refuses to bind a license: give the API key the permission member:manage"
	case up.reason == "bad_request":
		level, msg = slog.LevelError, "Whop refuses the request itself; check --api-version-date and --upstream-url"
	case up.retryAfter > 0:
		msg = "Whop is not asked for now"
	}
	w.log.Log(ctx, level, msg, "operation", op, "reason", up.reason, "key", license.ShortenKey(id), "error", up.err.Error())
}
