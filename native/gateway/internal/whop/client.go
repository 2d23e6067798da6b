// Package whop speaks Whop's Current API: it looks memberships up and writes
// their metadata, in every shape that Whop's versions have, within Whop's quota
// and without asking a Whop that is down. It knows nothing of apps.
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

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/shared/version"
)

// versionHeader names the version of Whop's API that an answer's shape is of.
const versionHeader = "Api-Version-Date"

// maxUpstreamBody is far above any membership: 50 metadata values of 500
// characters are under 64 KiB.
const maxUpstreamBody = 256 << 10

// operation is a call that Whop limits by itself.
type operation string

const (
	opLookUp operation = "look_up"
	opWrite  operation = "write"
)

// Metrics count the calls to Whop.
type Metrics interface {
	// Called counts one call of an operation ("look_up" or "write"), by its result:
	// "ok", "unknown" or a [Kind].
	Called(operation, result string, took time.Duration)
	// HeldBack counts a call that was not made, by the [Kind] of its failure.
	HeldBack(operation, reason string)
	// CircuitOpen tells whether Whop is left alone because it was failing.
	CircuitOpen(open bool)
}

// Notices are messages to the seller, each of them logged once in a while.
type Notices interface {
	// License logs a message about one license, given by its key or membership id.
	License(level slog.Level, id, msg string, args ...any)
	// General logs a message that concerns more than one license, at most once in
	// the given span of time for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config is what a [Client] works by and with. Every field is needed.
type Config struct {
	Base    *url.URL // of the Current API, without a slash at its end
	APIKey  string
	Version string        // of the API, see [IsVersion]
	Timeout time.Duration // for one call

	Budget  Budget
	Notices Notices
	Metrics Metrics
	Tags    tag.Tagger
	Log     *slog.Logger
}

// Client speaks the Current API of Whop with the seller's API key. It is used by
// many goroutines at once.
type Client struct {
	base    string // the URL, without a slash at its end
	headers map[string]string
	timeout time.Duration
	tags    tag.Tagger
	client  *fasthttp.HostClient
	budget  Budget
	circuit *circuit
	pauses  map[operation]*pause
	reach   map[operation]*reach
	secrets []string // beside the license key, what no log may hold
	notices Notices
	metrics Metrics
	log     *slog.Logger
}

// New returns a client that has no connection yet.
func New(c Config) *Client {
	return &Client{
		base: c.Base.String(),
		// Without this header, Whop takes the version of the day on which the API key
		// was made.
		headers: map[string]string{"Authorization": "Bearer " + c.APIKey, "Accept": "application/json", versionHeader: c.Version},
		timeout: c.Timeout,
		tags:    c.Tags,
		client:  newHTTPClient(c.Base, c.Timeout),
		budget:  c.Budget,
		circuit: newCircuit(c.Metrics, c.Log),
		pauses:  map[operation]*pause{opLookUp: {}, opWrite: {}},
		reach:   map[operation]*reach{opLookUp: {}, opWrite: {}},
		secrets: []string{c.APIKey},
		notices: c.Notices,
		metrics: c.Metrics,
		log:     c.Log,
	}
}

// newHTTPClient returns the client for one server. Every uncached validation is
// a call to Whop; this client makes one for well under half of what net/http's
// costs.
func newHTTPClient(base *url.URL, timeout time.Duration) *fasthttp.HostClient {
	return &fasthttp.HostClient{
		// The port is added here, because our own dialer is given this as it is.
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
		ReadBufferSize:            16 << 10, // also what an answer's header may take
		DisablePathNormalizing:    true,
		SecureErrorLogMessage:     true,
	}
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

// LookUp returns the membership with the given license key or membership id, or
// [check.ErrUnknown], or a [*Failure]. After a failure that may pass by itself,
// it asks once more.
func (w *Client) LookUp(ctx context.Context, id string) (*check.Membership, error) {
	m, err := w.call(ctx, opLookUp, id, nil, "")
	var up *Failure
	if !errors.As(err, &up) || !up.Passing() {
		return m, err
	}
	select {
	case <-ctx.Done():
		return nil, err
	case <-time.After(10*time.Millisecond + rand.N(40*time.Millisecond)):
		return w.call(ctx, opLookUp, id, nil, "")
	}
}

// SetMetadata stores the whole metadata of a membership. After an error, a
// [*Failure], it may or may not have been stored; only a look-up tells. Repeated
// with the same idempotency key it is stored once.
func (w *Client) SetMetadata(ctx context.Context, id string, whole binding.Metadata, idempotencyKey string) error {
	body, err := json.Marshal(map[string]binding.Metadata{"metadata": whole}, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = w.call(ctx, opWrite, id, body, idempotencyKey)
	return err
}

// call makes one call in its time, within the quota, and unless the circuit is
// open.
func (w *Client) call(ctx context.Context, op operation, id string, body []byte, idempotencyKey string) (*check.Membership, error) {
	pause, member := w.pauses[op], w.tags.Of("call", []byte(id))
	if err := w.hold(ctx, op, pause.remaining(member, time.Now())); err != nil {
		return nil, err
	}
	m, err := w.circuit.run(member, func() (*check.Membership, error) {
		start := time.Now()
		deadline := start.Add(w.timeout)
		if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
			deadline = end
		}
		m, err := w.exchange(op, id, body, idempotencyKey, deadline)
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
		// The message quotes the version that was asked for, which is none of them.
		up.versions = slices.DeleteFunc(up.versions, func(v string) bool { return v == w.headers[versionHeader] })
	}
	w.report(op, id, w.reach[op].of(member, err, time.Now()), err)
	return m, err
}

// hold returns why a call is not to be made now, if it isn't.
func (w *Client) hold(ctx context.Context, op operation, pause time.Duration) error {
	var err error
	if pause > 0 {
		err = &Failure{Kind: paused, after: pause, err: errors.New("asked to be left alone")}
	} else if err = w.circuit.open(); err == nil { // before it costs anything of the quota
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
// membership. The answer to a write is read only to see whether it is Whop's, as a
// look-up follows.
func (w *Client) exchange(op operation, id string, body []byte, idempotencyKey string, deadline time.Time) (*check.Membership, error) {
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
		return nil, newFailure(transportKind(err), loggable(err))
	}
	status := resp.StatusCode()
	switch {
	case status == http.StatusOK && op == opLookUp:
		m, odd, err := parseMembership(resp.Body(), id)
		if err != nil {
			return nil, newFailure(badAnswer, err)
		}
		w.reportOdd(odd)
		return m, nil
	case status/100 == 2 && op == opWrite:
		if len(resp.Body()) > 0 && jsontext.Value(resp.Body()).Kind() != '{' {
			return nil, newFailure(badAnswer, fmt.Errorf("status %d with a body that is not Whop's", status))
		}
		return nil, nil
	}
	err := readFailure(status, string(resp.Header.Peek("Retry-After")), resp.Body(), append([]string{id, url.PathEscape(id)}, w.secrets...)...)
	if op == opWrite && errors.Is(err, check.ErrUnknown) {
		return nil, newFailure(unknownToWrite, err)
	}
	return nil, err
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

// errNotHTTP replaces the HTTP client's error about an answer that it can't read,
// because that error quotes the answer.
var errNotHTTP = errors.New("the answer was cut off or is not HTTP")

// loggable returns a transport's error if it is about the connection, and so
// quotes nothing of an answer.
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
	case errors.Is(err, check.ErrUnknown):
		return "unknown"
	case errors.As(err, &up):
		return string(up.Kind)
	default:
		return "error"
	}
}
