package license

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeClock stands still until a client sleeps, or a test's transport moves it on.
// Its first timer is the deadline of a check.
type fakeClock struct {
	time     Milliseconds
	deadline func() // ends the time of the check
	slept    []Milliseconds
}

func newFakeClock() *fakeClock { return &fakeClock{time: testNow} }

func (c *fakeClock) Now() Milliseconds { return c.time }

func (c *fakeClock) AfterFunc(d Milliseconds, f func()) func() {
	if c.deadline == nil {
		c.deadline = f
		return func() {}
	}
	c.time += d
	c.slept = append(c.slept, d)
	f()
	return func() {}
}

// script takes the next step for each request, and repeats the last one.
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

var testQuery = Query{Endpoint: "https://a.example", LicenseKey: testKey, MachineID: map[string]string{"HWID": "m1"}}

func run(ctx context.Context, s *script, clock *fakeClock, random float64, policy RetryPolicy) (*Verdict, error) {
	c := Client{Transport: s, Clock: clock, Random: func() float64 { return random }}
	return c.Validate(ctx, testQuery, policy)
}

type step = func(Context) (*Response, error)

func TestRetries(t *testing.T) {
	cases := []struct {
		name     string
		steps    []step
		policy   RetryPolicy
		random   float64
		wantCode ErrorCode // "" is a verdict
		wantSent int
		wantWait []Milliseconds
	}{
		{"a verdict ends it", []step{good}, RetryPolicy{}, 0.5, "", 1, nil},
		{"a refusal ends it", []step{answer(404, `{"error":{"code":"not_found"}}`, "")}, RetryPolicy{}, 0.5, "", 1, nil},
		{"unavailable is tried again", []step{failing, broken, good}, RetryPolicy{}, 0.5, "", 3, []Milliseconds{150, 300}},
		{"three attempts at most", []step{failing}, RetryPolicy{}, 0.5, Unavailable, 3, []Milliseconds{150, 300}},
		{"full jitter starts at zero", []step{failing}, RetryPolicy{}, 0, Unavailable, 3, []Milliseconds{0, 0}},
		{"and ends at the bound", []step{failing}, RetryPolicy{}, 0.999, Unavailable, 3, []Milliseconds{299, 599}},
		{"one attempt where asked", []step{failing}, RetryPolicy{Attempts: 1}, 0.5, Unavailable, 1, nil},
		{"rate policy are tried again", []step{answer(429, "", "2"), good}, RetryPolicy{}, 0.5, "", 2, []Milliseconds{2150}},
		{"Retry-After counts for 503 too", []step{answer(503, "", "3"), good}, RetryPolicy{}, 0.5, "", 2, []Milliseconds{3150}},
		{"a wait that does not fit is not begun", []step{answer(429, "", "15")}, RetryPolicy{}, 0, RateLimited, 1, nil},
		{"a shorter time fits less", []step{answer(429, "", "1")}, RetryPolicy{Timeout: 1000}, 0, RateLimited, 1, nil},
		{"a block page is not tried again", []step{answer(401, "", "")}, RetryPolicy{}, 0.5, BadResponse, 1, nil},
		{"garbage is not tried again", []step{answer(201, "x", "")}, RetryPolicy{}, 0.5, BadResponse, 1, nil},
		{"a refused request is not tried again", []step{answer(400, `{"error":{"code":"invalid_request"}}`, "")}, RetryPolicy{}, 0.5, InvalidArgument, 1, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, clock := &script{steps: c.steps}, newFakeClock()
			verdict, err := run(context.Background(), s, clock, c.random, c.policy)
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
		assert.Less(t, c.backoff(attempt, -1), backoffCap, attempt)
	}
}

func TestDeadlineEndsARequest(t *testing.T) {
	clock := newFakeClock()
	s := &script{steps: []step{func(ctx Context) (*Response, error) {
		clock.deadline()
		return unbroken(ctx)
	}}}
	_, err := run(context.Background(), s, clock, 0.5, RetryPolicy{})
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, Timeout, e.Code)
	assert.True(t, e.Retryable())
	assert.Len(t, s.sent, 1)
}

// stuckClock's timers never fire but for the deadline, which fires while the
// client waits to try again.
type stuckClock struct{ *fakeClock }

func (c stuckClock) AfterFunc(d Milliseconds, f func()) func() {
	if c.deadline == nil {
		return c.fakeClock.AfterFunc(d, f)
	}
	c.deadline()
	return func() {}
}

func TestDeadlineWhileWaitingKeepsTheReason(t *testing.T) {
	s := &script{steps: []step{failing}}
	c := Client{Transport: s, Clock: stuckClock{newFakeClock()}, Random: func() float64 { return 0.5 }}
	_, err := c.Validate(context.Background(), testQuery, RetryPolicy{})
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
	t.Run("before the check nothing is sent", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(reason)
		s := &script{steps: []step{good}}
		_, err := run(ctx, s, newFakeClock(), 0.5, RetryPolicy{})
		aborted(t, err)
		assert.Empty(t, s.sent)
	})
	t.Run("during a request", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &script{steps: []step{func(c Context) (*Response, error) { cancel(); return unbroken(c) }}}
		_, err := run(ctx, s, newFakeClock(), 0.5, RetryPolicy{})
		aborted(t, err)
		assert.Len(t, s.sent, 1)
	})
	t.Run("while waiting", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s := &script{steps: []step{failing}}
		c := Client{Transport: s, Clock: cancelClock{newFakeClock(), cancel}, Random: func() float64 { return 0.5 }}
		_, err := c.Validate(ctx, testQuery, RetryPolicy{})
		aborted(t, err)
		assert.Len(t, s.sent, 1)
	})
}

// cancelClock's waits never end by themselves; the caller aborts in them.
type cancelClock struct {
	*fakeClock
	cancel func()
}

func (c cancelClock) AfterFunc(d Milliseconds, f func()) func() {
	if c.deadline == nil {
		return c.fakeClock.AfterFunc(d, f)
	}
	c.cancel()
	return func() {}
}

func TestInvalidQueryIsNotSent(t *testing.T) {
	s := &script{steps: []step{good}}
	c := Client{Transport: s, Clock: newFakeClock(), Random: func() float64 { return 0.5 }}
	_, err := c.Validate(context.Background(), Query{Endpoint: "https://a.example", LicenseKey: "a/b"}, RetryPolicy{})
	assertError(t, &wantError{Code: InvalidArgument, Argument: "licenseKey"}, err)
	assert.Empty(t, s.sent)
}

// A 404 is mostly what a base URL with a path too much gets.
func TestEndpointWithAPathTooMuch(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://license.example.com":           "check the endpoint.",
		"https://license.example.com/":          "check the endpoint.",
		"https://license.example.com/api/v2":    "check the endpoint: its path /api/v2 may be too much.",
		"http://127.0.0.1:8080/api/memberships": "check the endpoint: its path /api/memberships may be too much.",
	} {
		_, err := ReadResponse(Query{Endpoint: endpoint}, &Response{Status: 404, Body: []byte("There is nothing here.")}, 0)
		assertError(t, &wantError{Code: BadResponse, Retryable: true, Status: 404}, err)
		assert.Contains(t, err.Error(), want)
		_, err = ReadResponse(Query{Endpoint: endpoint}, &Response{Status: 302}, 0)
		assert.NotContains(t, err.Error(), "path")
	}
}
