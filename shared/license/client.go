package license

import (
	"errors"
	"sync"

	"github.com/whop-license/whop-license/shared/lease"
)

// The defaults and bounds of a check.
const (
	DefaultTimeoutMs = 15_000
	// MaxTimeoutMs is the longest a timer can run in JavaScript.
	MaxTimeoutMs = 1<<31 - 1
	// MaxAttempts is how many times one check asks at most, and by default.
	MaxAttempts = 3
)

// The waits between attempts are random between zero and a bound that doubles
// from the base to the cap ("full jitter", AWS Architecture Blog, Exponential
// Backoff And Jitter), so that clients which failed together don't return
// together.
const (
	backoffBaseMs = 300
	backoffCapMs  = 5_000
)

// Context is the part of [context.Context] that a check needs. Done may be nil
// where it never ends.
type Context interface {
	Done() <-chan struct{}
	Err() error
}

// Transport sends requests.
type Transport interface {
	// Send sends one request and returns the whole answer, whatever its status.
	// It follows no redirect, sends no cookies, and stops when ctx is done. An
	// error means that there was no complete answer.
	Send(ctx Context, r *Request) (*Response, error)
}

// Clock tells the time and waits.
type Clock interface {
	// NowMs returns the present in milliseconds since the epoch.
	NowMs() int64
	// AfterFunc calls f once when ms milliseconds have passed, unless stop is
	// called before. f does not block, and may be called on any goroutine.
	AfterFunc(ms int64, f func()) (stop func())
}

// Client asks a server about licenses. Its fields must be set before the first
// use and not changed after it; a Client may be used concurrently.
type Client struct {
	Transport Transport
	Clock     Clock
	// Random returns a number in [0, 1).
	Random func() float64
}

// Limits bound one check. A zero field takes its default.
type Limits struct {
	TimeoutMs int64 // for all attempts together; [DefaultTimeoutMs]
	Attempts  int   // at most; [MaxAttempts]
}

// Validate asks whether a license may be used on a machine. It returns a
// [Verdict], or an [*Error] where none was reached. [Unavailable] and
// [RateLimited] are tried again within the limits; where the wait that the
// server asks for does not fit, they end the attempts at once. Where no verdict
// is reached, a stored lease that holds stands in: whatever kept the server from
// being heard, whoever wants it can cut the line. Only an [InvalidArgument] and
// an [Aborted] check are the caller's own.
func (c *Client) Validate(ctx Context, q Query, limits Limits) (*Verdict, error) {
	request, err := NewRequest(q)
	if err != nil {
		return nil, err
	}
	if q.Trust != nil && q.Stored.Prefer && ctx.Err() == nil {
		if verdict, err := q.standIn(c.Clock.NowMs(), true); err == nil {
			return verdict, nil
		}
	}
	verdict, failure := c.ask(ctx, q, request, limits)
	if failure == nil {
		return verdict, nil
	}
	if q.Trust == nil || q.Stored.Lease == "" || failure.Code == InvalidArgument || failure.Code == Aborted {
		return nil, failure
	}
	verdict, err = q.standIn(c.Clock.NowMs(), false)
	if err == nil {
		verdict.Failure = failure
		return verdict, nil
	}
	failure.Message += " The stored lease can't stand in: " + err.Error() + "."
	if why := new(lease.Error); errors.As(err, &why) && why.Reason == lease.ReasonClock {
		failure.Cause = why
	}
	return nil, failure
}

// ask sends the request until there is a verdict, an error that is final, or no
// time or attempt left.
func (c *Client) ask(ctx Context, q Query, request *Request, limits Limits) (*Verdict, *Error) {
	if limits.TimeoutMs == 0 {
		limits.TimeoutMs = DefaultTimeoutMs
	}
	if limits.Attempts == 0 {
		limits.Attempts = MaxAttempts
	}
	deadline := c.Clock.NowMs() + limits.TimeoutMs
	call, release := newCall(ctx, c.Clock, limits.TimeoutMs)
	defer release()

	for attempt := 1; ; attempt++ {
		verdict, err := c.attempt(call, q, request)
		if err == nil || attempt >= limits.Attempts || err.Code != Unavailable && err.Code != RateLimited {
			return verdict, err
		}
		wait := c.backoffMs(attempt, err.RetryAfterMs)
		if wait >= deadline-c.Clock.NowMs() {
			return nil, err
		}
		if aborted := c.sleep(call, wait); aborted != nil {
			if aborted.Code == Timeout {
				return nil, err
			}
			return nil, aborted
		}
	}
}

func (c *Client) attempt(call *call, q Query, request *Request) (*Verdict, *Error) {
	if err := call.failure(); err != nil {
		return nil, err
	}
	response, err := c.Transport.Send(call, request)
	if err != nil {
		if ended := call.failure(); ended != nil {
			return nil, ended
		}
		failure := newError(Unavailable, 0, "The license server can't be reached. Check the connection and try again; this says nothing about the license.")
		failure.Cause = err
		return nil, failure
	}
	verdict, err := ReadResponse(q, response, c.Clock.NowMs())
	if err != nil {
		return nil, err.(*Error)
	}
	return verdict, nil
}

// backoffMs returns the wait after an attempt, the first being 1.
func (c *Client) backoffMs(attempt int, retryAfterMs int64) int64 {
	bound := min(int64(backoffBaseMs)<<(attempt-1), backoffCapMs)
	jitter := int64(c.Random() * float64(bound))
	return max(retryAfterMs, 0) + jitter
}

func (c *Client) sleep(call *call, ms int64) *Error {
	done := make(chan struct{})
	defer c.Clock.AfterFunc(ms, func() { close(done) })()
	select {
	case <-done:
	case <-call.done:
	}
	return call.failure()
}

// call is the Context of one check: the caller's, with a time limit.
type call struct {
	once sync.Once
	done chan struct{}
	err  *Error // set before done is closed
}

// newCall starts a call that ends after timeoutMs, with ctx, or when released.
func newCall(ctx Context, clock Clock, timeoutMs int64) (*call, func()) {
	c := &call{done: make(chan struct{})}
	if ctx.Err() != nil {
		c.abort(ctx)
		return c, func() {}
	}
	stop := clock.AfterFunc(timeoutMs, func() {
		c.end(newError(Timeout, 0, "The license server gave no answer in time. Try again; this says nothing about the license."))
	})
	if ctx.Done() == nil { // it never ends
		return c, stop
	}
	released := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			c.abort(ctx)
		case <-released:
		}
	}()
	return c, func() { stop(); close(released) }
}

func (c *call) abort(ctx Context) {
	err := newError(Aborted, 0, "The check was withdrawn by the caller.")
	err.Cause = ctx.Err()
	c.end(err)
}

func (c *call) end(err *Error) {
	c.once.Do(func() {
		c.err = err
		close(c.done)
	})
}

// Done is closed when the call has ended.
func (c *call) Done() <-chan struct{} { return c.done }

// Err returns why the call ended, or nil while it goes on.
func (c *call) Err() error { return c.failure().orNil() }

func (c *call) failure() *Error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// orNil keeps a nil *Error from becoming an error that is not nil.
func (e *Error) orNil() error {
	if e == nil {
		return nil
	}
	return e
}
