package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

// heedful knows no license, and answers nobody who is gone.
type heedful struct{ noChecker }

func (heedful) Check(ctx context.Context, q *check.Query) (check.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return check.Verdict{}, err
	}
	return noChecker{}.Check(ctx, q)
}

// broken is metrics with a bug.
type broken struct{ noMetrics }

func (broken) ProxyProblem(string) { panic("a bug") }

// ending is a body that tells of its end.
type ending struct {
	io.ReadCloser
	ends func()
}

func (e *ending) Read(p []byte) (n int, err error) {
	if n, err = e.ReadCloser.Read(p); err == io.EOF {
		e.ends()
	}
	return n, err
}

// A body may be given up just as its last byte arrives. The server then takes the
// connection for closed, so later requests must come on another one.
func TestABodyThatIsGivenUpAsItEnds(t *testing.T) {
	test := func(protocol, path string, otherwise int) {
		api := New(Config{Checker: heedful{}, Proofs: Unsigned{}, WebhookSecret: "hook-secret", ReadEvent: whop.ReadEvent, Notices: noNotices{}, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
		late := true
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if late {
				r.Body = &ending{r.Body, func() { late = !api.bodies.giveUp() }}
			}
			api.ServeHTTP(w, r)
		}))
		s.EnableHTTP2 = protocol == "HTTP/2.0"
		s.StartTLS()
		t.Cleanup(s.Close)
		for _, want := range []int{408, otherwise, otherwise} {
			resp, err := s.Client().Post(s.URL+path, "application/json", strings.NewReader(`{"metadata":{}}`))
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			assert.Equal(t, protocol, resp.Proto)
			assert.Equal(t, want, resp.StatusCode, string(body))
		}
		assert.False(t, late)
		assert.Zero(t, api.bodies.arriving.Len())
	}
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		test(protocol, "/api/v2/memberships/x/validate_license", 404)
		test(protocol, "/webhooks/whop", 401)
	}
}

// A bug costs its own request, and not the place of its body for ever.
func TestABodysPlaceIsFreeAfterAPanic(t *testing.T) {
	api := New(Config{Checker: noChecker{}, Proofs: Unsigned{}, Notices: noNotices{}, Metrics: broken{}, Log: gatewaytest.DiscardLog()})
	r := httptest.NewRequest(http.MethodPost, "/api/v2/memberships/x/validate_license", strings.NewReader(`{"metadata":{}}`+strings.Repeat(" ", smallBody)))
	r.Header.Set("X-Forwarded-For", "203.0.113.1")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	assert.Equal(t, 500, w.Code)
	assert.True(t, api.bodies.room.TryAcquire(bodiesAtOnce))
	assert.Zero(t, api.inFlight.all)
}
