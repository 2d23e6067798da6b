// Package whop is a client of Whop's Current API: it looks memberships up and
// writes their metadata, in every shape that Whop's versions have, within
// Whop's quota and without calling Whop while it is down. It knows nothing
// about apps.
package whop

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
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpproxy"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/sync/semaphore"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/shared/version"
)

// versionHeader selects the version of Whop's API, and with it the shape of the
// answers.
const versionHeader = "Api-Version-Date"

// maxUpstreamBody is far above any membership: 50 metadata values of 500
// characters are under 64 KiB.
const maxUpstreamBody = 256 << 10

// operation is a kind of call that has a quota of its own at Whop.
type operation string

const (
	opLookUp operation = "look_up"
	opWrite  operation = "write"
)

// Metrics counts the calls to Whop.
type Metrics interface {
	// Called counts one call of an operation ("look_up" or "write"), by its result:
	// "ok", "unknown" or a [Kind].
	Called(operation, result string, took time.Duration)
	// HeldBack counts a call that was not made, by the [Kind] of the failure.
	HeldBack(operation, reason string)
	// CircuitOpen records whether the circuit breaker is open because Whop was
	// failing.
	CircuitOpen(open bool)
}

// Notices logs messages to the seller, each at most once in a while.
type Notices interface {
	// License logs a message about one license, identified by its key or membership
	// id.
	License(level slog.Level, id, msg string, args ...any)
	// General logs a message that concerns more than one license, at most once per
	// interval for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config configures a [Client]. Every field is required.
type Config struct {
	Base    *url.URL // of the Current API, without a trailing slash
	APIKey  string
	Version string        // of the API, see [IsVersion]
	Timeout time.Duration // for one call

	Budget  Budget
	Notices Notices
	Metrics Metrics
	Tags    tag.Tagger
	Log     *slog.Logger
}

// Client calls Whop's Current API with the seller's API key. It is safe for
// concurrent use.
type Client struct {
	base    string // the URL, without a trailing slash
	headers map[string]string
	timeout time.Duration
	tags    tag.Tagger
	client  *fasthttp.HostClient
	budget  Budget
	circuit *circuit
	pauses  map[operation]*pause
	reach   map[operation]*reach
	unknown unknownText
	secrets []string // what must never be logged, besides the license key
	notices Notices
	metrics Metrics
	log     *slog.Logger
}

// New returns a client that has no connection yet.
func New(c Config) *Client {
	return &Client{
		base: c.Base.String(),
		// Without the version header, Whop uses the version that was current when the
		// API key was made.
		headers: map[string]string{"Authorization": "Bearer " + c.APIKey, "Accept": "application/json", versionHeader: c.Version},
		timeout: c.Timeout,
		tags:    c.Tags,
		client:  newHTTPClient(c.Base, c.Timeout),
		budget:  c.Budget,
		circuit: newCircuit(c.Metrics, c.Log),
		pauses:  map[operation]*pause{opLookUp: {}, opWrite: {}},
		reach:   map[operation]*reach{opLookUp: {}, opWrite: {}},
		unknown: unknownText{turn: semaphore.NewWeighted(1)},
		secrets: []string{c.APIKey},
		notices: c.Notices,
		metrics: c.Metrics,
		log:     c.Log,
	}
}

// newHTTPClient returns the client for one server. Every uncached validation is
// a call to Whop, and with this client a call costs well under half of what it
// costs with net/http.
func newHTTPClient(base *url.URL, timeout time.Duration) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		// The port is added here, because our own dialer gets the address unchanged.
		Addr:                      fasthttp.AddMissingPort(base.Host, base.Scheme == "https"),
		IsTLS:                     base.Scheme == "https",
		Name:                      "whop-license-gateway/" + version.Version,
		DialTimeout:               dialer(base, timeout),
		TLSConfig:                 &tls.Config{MinVersion: tls.VersionTLS12},
		MaxConns:                  256,
		MaxConnWaitTimeout:        timeout,
		MaxIdleConnDuration:       30 * time.Second,
		MaxIdemponentCallAttempts: 3, // look-ups only: the server may just have closed an idle connection
		MaxResponseBodySize:       maxUpstreamBody,
		ReadBufferSize:            16 << 10, // this also bounds an answer's headers
		DisablePathNormalizing:    true,
		SecureErrorLogMessage:     true,
	}
}

// dialer connects directly, or through the proxy from the environment
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

// LookUp returns the membership with the given license key or membership id, or
// [check.ErrUnknown], or a [*Failure]. After a transient failure, it asks once
// more.
func (w *Client) LookUp(ctx context.Context, id string) (*check.Membership, error) {
	m, err := w.lookUp(ctx, id)
	var likely unconfirmed
	if errors.As(err, &likely) {
		return nil, w.confirmUnknown(ctx, likely.Failure)
	}
	if f := vague(err); f != nil {
		return nil, w.confirmUnknown(ctx, f)
	}
	return m, err
}

func (w *Client) lookUp(ctx context.Context, id string) (*check.Membership, error) {
	m, err := w.call(ctx, opLookUp, id, nil, "")
	var up *Failure
	if !errors.As(err, &up) || !up.Transient() {
		return m, err
	}
	select {
	case <-ctx.Done():
		return nil, err
	case <-time.After(10*time.Millisecond + rand.N(40*time.Millisecond)):
		return w.call(ctx, opLookUp, id, nil, "")
	}
}

// SetMetadata replaces the whole metadata of a membership. After an error, a
// [*Failure], it may or may not have been stored; only a look-up tells.
// Repeated with the same idempotency key, it is stored once.
func (w *Client) SetMetadata(ctx context.Context, id string, whole binding.Metadata, idempotencyKey string) error {
	body, err := json.Marshal(map[string]binding.Metadata{"metadata": whole}, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.call(ctx, opWrite, id, body, idempotencyKey)
	return err
}

// call makes one call, with a timeout and within the quota, unless the circuit
// is open.
func (w *Client) call(ctx context.Context, op operation, id string, body []byte, idempotencyKey string) (*check.Membership, error) {
	pause, member := w.pauses[op], w.tags.Of("call", []byte(id))
	if err := w.holdBack(ctx, op, pause.remaining(member, time.Now())); err != nil {
		return nil, err
	}
	m, err := w.circuit.run(member, func() (*check.Membership, error) {
		start := time.Now()
		m, err := w.exchange(ctx, op, id, body, idempotencyKey)
		w.metrics.Called(string(op), resultName(err), time.Since(start))
		return m, err
	})
	var up *Failure
	if errors.As(err, &up) {
		up.op = op
		switch up.Kind {
		case rateLimited:
			pause.begin(member, time.Now(), up.after)
		case circuitOpen:
			w.metrics.HeldBack(string(op), string(up.Kind))
		}
		// The message also quotes the requested version, which is not one of those
		// offered.
		up.versions = slices.DeleteFunc(up.versions, func(v string) bool { return v == w.headers[versionHeader] })
	}
	w.report(op, id, w.reach[op].of(member, err, time.Now()), err)
	return m, err
}

// holdBack returns an error if a call must not be made now.
func (w *Client) holdBack(ctx context.Context, op operation, pause time.Duration) error {
	var err error
	if pause > 0 {
		err = &Failure{Kind: paused, after: pause, err: errors.New("it asked for a pause")}
	} else if err = w.circuit.open(); err == nil { // before it uses any of the quota
		err = w.takeShare(ctx, op)
	}
	if err != nil {
		w.metrics.HeldBack(string(op), resultName(err))
	}
	return err
}

// takeShare takes one call's share of the quota.
func (w *Client) takeShare(ctx context.Context, op operation) error {
	wait, err := w.budget.Take(ctx, string(op))
	switch {
	case err != nil:
		return newFailure(overBudget, err)
	case wait > 0:
		w.notices.General(slog.LevelWarn, generalNotice, string(op), "the quota for calls to Whop (--upstream-budget) is used up, so some checks are answered 503 for now", "operation", op)
		return &Failure{Kind: overBudget, after: wait, err: errors.New("the quota for calls to Whop is used up")}
	default:
		return nil
	}
}

// exchange sends one request and reads its answer. A look-up returns the
// membership. The answer to a write is only checked for being Whop's, because a
// look-up follows.
func (w *Client) exchange(ctx context.Context, op operation, id string, body []byte, idempotencyKey string) (*check.Membership, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI(w.base + "/memberships/" + url.PathEscape(id))
	if op == opWrite {
		req.Header.SetMethod(fasthttp.MethodPatch)
		req.Header.SetContentType("application/json")
		req.Header.Set("Idempotency-Key", idempotencyKey)
		req.SetBodyRaw(body)
	}
	if err := w.send(ctx, req, resp); err != nil {
		return nil, err
	}
	status := resp.StatusCode()
	switch {
	case status == http.StatusOK && op == opLookUp:
		m, skipped, err := parseMembership(resp.Body(), id)
		if err != nil {
			return nil, newFailure(badAnswer, err)
		}
		w.reportSkipped(skipped)
		return m, nil
	case status/100 == 2 && op == opWrite:
		if len(resp.Body()) > 0 && jsontext.Value(resp.Body()).Kind() != '{' {
			return nil, newFailure(badAnswer, fmt.Errorf("status %d with a body that is not Whop's", status))
		}
		return nil, nil
	}
	err := readFailure(status, string(resp.Header.Peek("Retry-After")), resp.Body(), append([]string{id, url.PathEscape(id)}, w.secrets...)...)
	f := vague(err)
	likely := w.unknown.is(f)
	switch {
	case op == opWrite && (likely || errors.Is(err, check.ErrUnknown)):
		return nil, newFailure(unknownToWrite, err)
	case likely:
		return nil, unconfirmed{f}
	default:
		return nil, err
	}
}

// send makes a request with the API key, within the timeout and until the context's
// deadline. A failure to get an answer is a [*Failure].
func (w *Client) send(ctx context.Context, req *fasthttp.Request, resp *fasthttp.Response) error {
	for name, value := range w.headers {
		req.Header.Set(name, value)
	}
	deadline := time.Now().Add(w.timeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := w.client.DoDeadline(req, resp, deadline); err != nil {
		return newFailure(transportKind(err), loggable(err))
	}
	return nil
}

func transportKind(err error) Kind {
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return badAnswer
	case errors.As(err, &timed) && timed.Timeout():
		return timeout
	default:
		return unreachable
	}
}

// errNotHTTP replaces the HTTP client's error about an answer that it can't
// parse, because that error quotes the answer.
var errNotHTTP = errors.New("the answer was cut off or is not HTTP")

// loggable returns the HTTP client's error if it is about the connection, so
// that it quotes nothing from an answer.
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
	var up *Failure
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, check.ErrUnknown), errors.As(err, new(unconfirmed)):
		return "unknown"
	case errors.As(err, &up):
		return string(up.Kind)
	default:
		return "error"
	}
}
