package license

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeClock stands still but for sleep, which moves it on, and for what the
// transport of a test adds. The first timer is a call's deadline.
type fakeClock struct {
	ms       int64
	deadline func() // ends the call's time
	slept    []int64
}

func newFakeClock() *fakeClock { return &fakeClock{ms: testNowMs} }

func (c *fakeClock) NowMs() int64 { return c.ms }

func (c *fakeClock) AfterFunc(ms int64, f func()) func() {
	if c.deadline == nil {
		c.deadline = f
		return func() {}
	}
	c.ms += ms
	c.slept = append(c.slept, ms)
	f()
	return func() {}
}

// script answers each request with the next step, the last for ever.
type script struct {
	steps []func(ctx Context) (*Response, error)
	sent  []*Request
}

func (s *script) Send(ctx Context, r *Request) (*Response, error) {
	s.sent = append(s.sent, r)
	return s.steps[min(len(s.sent), len(s.steps))-1](ctx)
}

func answer(status int, body, retryAfter string) func(Context) (*Response, error) {
	return func(Context) (*Response, error) {
		return &Response{Status: status, Body: []byte(body), RetryAfter: retryAfter}, nil
	}
}

var (
	good     = answer(201, `{"valid":true}`, "")
	failing  = answer(503, "", "")
	unbroken = func(ctx Context) (*Response, error) { <-ctx.Done(); return nil, ctx.Err() }
	broken   = func(Context) (*Response, error) { return nil, errors.New("connection reset") }
)

var testQuery = Query{Endpoint: "https://a.example", LicenseKey: testKey, Metadata: map[string]string{"HWID": "m1"}}

func run(ctx context.Context, s *script, clock *fakeClock, random float64, limits Limits) (*Verdict, error) {
	c := Client{Transport: s, Clock: clock, Random: func() float64 { return random }}
	return c.Validate(ctx, testQuery, limits)
}

type step = func(Context) (*Response, error)

func TestRetries(t *testing.T) {
	cases := []struct {
		name     string
		steps    []step
		limits   Limits
		random   float64
		wantCode ErrorCode // "" is a verdict
		wantSent int
		wantWait []int64
	}{
		{"a verdict ends it", []step{good}, Limits{}, 0.5, "", 1, nil},
		{"a refusal ends it", []step{answer(404, `{"error":{"code":"not_found"}}`, "")}, Limits{}, 0.5, "", 1, nil},
		{"unavailable is tried again", []step{failing, broken, good}, Limits{}, 0.5, "", 3, []int64{150, 300}},
		{"three attempts at most", []step{failing}, Limits{}, 0.5, Unavailable, 3, []int64{150, 300}},
		{"full jitter starts at zero", []step{failing}, Limits{}, 0, Unavailable, 3, []int64{0, 0}},
		{"and ends at the bound", []step{failing}, Limits{}, 0.999, Unavailable, 3, []int64{299, 599}},
		{"one attempt where asked", []step{failing}, Limits{Attempts: 1}, 0.5, Unavailable, 1, nil},
		{"rate limits are tried again", []step{answer(429, "", "2"), good}, Limits{}, 0.5, "", 2, []int64{2150}},
		{"Retry-After counts for 503 too", []step{answer(503, "", "3"), good}, Limits{}, 0.5, "", 2, []int64{3150}},
		{"a wait that does not fit is not begun", []step{answer(429, "", "15")}, Limits{}, 0, RateLimited, 1, nil},
		{"a shorter time fits less", []step{answer(429, "", "1")}, Limits{TimeoutMs: 1000}, 0, RateLimited, 1, nil},
		{"a block page is not tried again", []step{answer(401, "", "")}, Limits{}, 0.5, BadResponse, 1, nil},
		{"garbage is not tried again", []step{answer(201, "x", "")}, Limits{}, 0.5, BadResponse, 1, nil},
		{"a refused request is not tried again", []step{answer(400, `{"error":{"code":"invalid_request"}}`, "")}, Limits{}, 0.5, InvalidArgument, 1, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, clock := &script{steps: c.steps}, newFakeClock()
			verdict, err := run(context.Background(), s, clock, c.random, c.limits)
			if c.wantCode == "" {
				require.NoError(t, err)
				require.NotNil(t, verdict)
			} else {
				var e *Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, c.wantCode, e.Code)
				assert.Nil(t, verdict)
			}
			assert.Len(t, s.sent, c.wantSent)
			assert.Equal(t, c.wantWait, clock.slept)
		})
	}
}

func TestBackoffIsBounded(t *testing.T) {
	c := Client{Random: func() float64 { return 0.999999 }}
	for attempt := 1; attempt < 20; attempt++ {
		assert.Less(t, c.backoffMs(attempt, -1), int64(backoffCapMs), attempt)
	}
}

func TestDeadlineEndsARequest(t *testing.T) {
	clock := newFakeClock()
	s := &script{steps: []step{func(ctx Context) (*Response, error) {
		clock.deadline()
		return unbroken(ctx)
	}}}
	_, err := run(context.Background(), s, clock, 0.5, Limits{})
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, Timeout, e.Code)
	assert.True(t, e.Retryable())
	assert.Len(t, s.sent, 1)
}

// stuckClock's timers never fire but for the deadline, which fires while the
// client waits to try again.
type stuckClock struct{ *fakeClock }

func (c stuckClock) AfterFunc(ms int64, f func()) func() {
	if c.deadline == nil {
		return c.fakeClock.AfterFunc(ms, f)
	}
	c.deadline()
	return func() {}
}

func TestDeadlineWhileWaitingKeepsTheReason(t *testing.T) {
	s := &script{steps: []step{failing}}
	c := Client{Transport: s, Clock: stuckClock{newFakeClock()}, Random: func() float64 { return 0.5 }}
	_, err := c.Validate(context.Background(), testQuery, Limits{})
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, Unavailable, e.Code)
	assert.Equal(t, 503, e.Status)
}

func TestAbort(t *testing.T) {
	reason := errors.New("the customer closed the window")
	aborted := func(t *testing.T, err error) {
		var e *Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, Aborted, e.Code)
		assert.False(t, e.Retryable())
		assert.ErrorIs(t, err, context.Canceled)
	}
	t.Run("before the call nothing is sent", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(reason)
		s := &script{steps: []step{good}}
		_, err := run(ctx, s, newFakeClock(), 0.5, Limits{})
		aborted(t, err)
		assert.Empty(t, s.sent)
	})
	t.Run("during a request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &script{steps: []step{func(c Context) (*Response, error) { cancel(); return unbroken(c) }}}
		_, err := run(ctx, s, newFakeClock(), 0.5, Limits{})
		aborted(t, err)
		assert.Len(t, s.sent, 1)
	})
	t.Run("while waiting", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &script{steps: []step{failing}}
		c := Client{Transport: s, Clock: cancelClock{newFakeClock(), cancel}, Random: func() float64 { return 0.5 }}
		_, err := c.Validate(ctx, testQuery, Limits{})
		aborted(t, err)
		assert.Len(t, s.sent, 1)
	})
}

// cancelClock's waits never end by themselves; the caller aborts in them.
type cancelClock struct {
	*fakeClock
	cancel func()
}

func (c cancelClock) AfterFunc(ms int64, f func()) func() {
	if c.deadline == nil {
		return c.fakeClock.AfterFunc(ms, f)
	}
	c.cancel()
	return func() {}
}

func TestInvalidQueryIsNotSent(t *testing.T) {
	s := &script{steps: []step{good}}
	c := Client{Transport: s, Clock: newFakeClock(), Random: func() float64 { return 0.5 }}
	_, err := c.Validate(context.Background(), Query{Endpoint: "https://a.example", LicenseKey: "a/b"}, Limits{})
	assertError(t, &wantError{Code: InvalidArgument, Argument: "licenseKey"}, err)
	assert.Empty(t, s.sent)
}
