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
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpproxy"
	"golang.org/x/net/http/httpproxy"

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
	reach   map[operation]*reach
	secrets []string // beside the license key, what no log may hold
	notices *notices
	metrics *metrics
	log     *slog.Logger
}

func newWhop(s *settings, tags tagger, b budget, n *notices, m *metrics, log *slog.Logger) *whop {
	return &whop{
		base: s.upstream.String(),
		// Without a version the API key's own would count, which is the latest of the
		// day it was made.
		headers: map[string]string{"Authorization": "Bearer " + s.apiKey, "Accept": "application/json", versionHeader: s.APIVersionDate},
		timeout: s.UpstreamTimeout,
		tags:    tags,
		budget:  b,
		circuit: newCircuit(m, log),
		pauses:  map[operation]*pause{opLookUp: {}, opWrite: {}},
		reach:   map[operation]*reach{opLookUp: {}, opWrite: {}},
		secrets: []string{s.apiKey},
		notices: n,
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
		return nil, &upstreamError{reason: reasonPaused, retryAfter: wait, err: errors.New("asked to be left alone")}
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
	if errors.As(err, &up) && up.reason == reasonRateLimited {
		pause.begin(member, time.Now(), up.retryAfter)
	}
	w.report(op, id, w.reach[op].of(member, err, time.Now()), err)
	return m, err
}

// exchange sends one request and reads its answer. A look-up returns the
// membership; of a write's own answer no more is read than whether it is Whop's,
// as a look-up follows.
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
		m, odd, err := parseMembership(resp.Body(), id)
		if err != nil {
			return nil, unavailable(reasonBadAnswer, err)
		}
		w.reportOdd(odd)
		return m, nil
	case status/100 == 2 && op == opWrite:
		if len(resp.Body()) > 0 && jsontext.Value(resp.Body()).Kind() != '{' {
			return nil, unavailable(reasonBadAnswer, fmt.Errorf("status %d with a body that is not Whop's", status))
		}
		return nil, nil
	}
	err := readFailure(status, string(resp.Header.Peek("Retry-After")), resp.Body(), append([]string{id, url.PathEscape(id)}, w.secrets...)...)
	if op == opWrite && errors.Is(err, errUnknown) {
		return nil, unavailable(reasonUnknownToWrite, err)
	}
	return nil, err
}

func transportReason(err error) reason {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return reasonBadAnswer
	case errors.As(err, &timeout) && timeout.Timeout():
		return reasonTimeout
	default:
		return reasonUnreachable
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
		return string(up.reason)
	default:
		return "error"
	}
}
