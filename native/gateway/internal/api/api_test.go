package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

// noChecker knows no license, noNotices logs nothing, and noMetrics counts
// nothing.
type (
	noChecker struct{}
	noNotices struct{}
	noMetrics struct{}
)

func (noChecker) Check(context.Context, *check.Query) (check.Verdict, error) {
	return check.Verdict{Outcome: check.NotFound, Source: check.FromKey}, nil
}
func (noChecker) Forget(context.Context, string) error                      { return nil }
func (noNotices) General(slog.Level, time.Duration, string, string, ...any) {}
func (noMetrics) Validated(string)                                          {}
func (noMetrics) Answered(time.Duration)                                    {}
func (noMetrics) ProxyProblem(string)                                       {}
func (noMetrics) WebhookTaken(string)                                       {}
func (noMetrics) Limited(string)                                            {}

// stalled answers a request whose body never arrives.
type stalled struct {
	http.ResponseWriter
	givenUp bool
}

func (s *stalled) SetReadDeadline(time.Time) error { s.givenUp = true; return nil }

// While validations wait, one client has its share of them, and the others all else.
func TestTooManyAtOnce(t *testing.T) {
	api := New(Config{Checker: noChecker{}, Proofs: Unsigned{}, WebhookSecret: "hook-secret", ReadEvent: whop.ReadEvent, Notices: noNotices{}, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
	ask := func(addr string, path ...string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, append(path, "/api/v2/memberships/x/validate_license")[0], strings.NewReader(`{}`))
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(addr), 4711).String()
		api.ServeHTTP(w, r)
		return w.Code
	}
	var ends []func()
	begin := func(addr string) (begun int) {
		for {
			end, ok := api.inFlight.begin(netip.MustParseAddr(addr))
			if !ok {
				return begun
			}
			ends = append(ends, end)
			begun++
		}
	}
	assert.Equal(t, maxInFlight/16, begin("203.0.113.1"))
	assert.Equal(t, 503, ask("203.0.113.1"))
	assert.Equal(t, 503, ask("203.0.113.1", "/webhooks/whop"))
	assert.Equal(t, 401, ask("203.0.113.2", "/webhooks/whop"), "which is not signed")
	assert.Equal(t, 400, ask("203.0.113.2"), "there is room, and the request is wrong")
	assert.Equal(t, []int{maxInFlight / 16, maxInFlight / 16, 0}, []int{begin("2001:db8:0:1::1"), begin("2001:db8:0:2::1"), begin("2001:db8:0:3::1")}, "a site has its share")
	for i := range 13 {
		assert.Equal(t, maxInFlight/16, begin(fmt.Sprintf("198.51.100.%d", i)))
	}
	assert.Equal(t, 503, ask("203.0.113.2"))
	slow := &stalled{}
	stops := api.bodies.begin(slow)
	assert.Equal(t, 400, ask("203.0.113.2"), "in place of a request whose body is still arriving")
	assert.True(t, slow.givenUp)
	assert.Equal(t, 503, ask("203.0.113.2"), "no other is arriving")
	stops()
	for _, end := range ends {
		end()
	}
	assert.Equal(t, 400, ask("203.0.113.1"))
	assert.Zero(t, api.inFlight.all)
	assert.Empty(t, api.inFlight.clients)
}

// Only the seller learns why the gateway is not ready.
func TestOnlyTheSellerSeesWhyTheGatewayIsNotReady(t *testing.T) {
	api := New(Config{Checker: noChecker{}, Proofs: Unsigned{}, Notices: noNotices{}, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
	reason := "registering account [mailto:seller@example.com]"
	api.BlockReadiness(func() string { return reason })
	api.SetReady()
	ask := func(serve http.HandlerFunc, path string) (int, string) {
		w := httptest.NewRecorder()
		serve(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	status, body := ask(api.ServeHTTP, "/readyz")
	assert.Equal(t, 503, status)
	assert.JSONEq(t, `{"status":"not ready"}`, body)
	status, body = ask(api.ServeHealth, "/readyz")
	assert.Equal(t, 503, status)
	assert.Contains(t, body, reason)
	status, _ = ask(api.ServeHealth, "/healthz")
	assert.Equal(t, 200, status)
	reason = ""
	for _, serve := range []http.HandlerFunc{api.ServeHTTP, api.ServeHealth} {
		status, body = ask(serve, "/readyz")
		assert.Equal(t, 200, status)
		assert.JSONEq(t, `{"status":"ready"}`, body)
	}
}

func FuzzWebhook(f *testing.F) {
	f.Add("msg_1", "1700000000", "v1,AAAA", []byte(`{"type":"membership.activated","data":{"id":"mem_1"}}`), true)
	f.Add("", "", "", []byte(``), false)
	f.Add("a.b", "-1", "v1,x v1,y v2", []byte("\xff"), true)
	const secret = "hook-secret"
	h := New(Config{Checker: noChecker{}, Proofs: Unsigned{}, WebhookSecret: secret, ReadEvent: whop.ReadEvent, Notices: noNotices{}, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte, sign bool) {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/whop", strings.NewReader(string(body)))
		r.Header.Set("webhook-id", id)
		r.Header.Set("webhook-timestamp", at)
		r.Header.Set("webhook-signature", signature)
		if sign {
			headers := gatewaytest.SignedHeaders(t, []byte(secret), id, time.Now(), string(body))
			r.Header.Set("webhook-timestamp", headers[3])
			r.Header.Set("webhook-signature", headers[5])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if sign && id != "" {
			assert.Contains(t, []int{204, 400}, w.Code)
		} else {
			assert.Equal(t, 401, w.Code)
		}
	})
}
