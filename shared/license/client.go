package license

import (
	"errors"

	"github.com/whop-license/whop-license/shared/lease"
)

// Milliseconds is a length of time or a point in time; see [lease.Milliseconds].
type Milliseconds = lease.Milliseconds

// The defaults and bounds of a check.
const (
	DefaultTimeout Milliseconds = 15_000
	// MaxTimeout is the longest time that a timer can run in JavaScript.
	MaxTimeout Milliseconds = 1<<31 - 1
	// MaxAttempts is how many requests one check sends at most, and by default.
	MaxAttempts = 3
)

// The waits between attempts are random between zero and a bound that doubles
// from the base to the cap ("full jitter", AWS Architecture Blog, Exponential
// Backoff And Jitter), so that clients that failed together don't return
// together.
const (
	backoffBase Milliseconds = 300
	backoffCap  Milliseconds = 5_000
)

// Context is the part of [context.Context] that a check needs. Done may return
// nil if the context never ends.
type Context interface {
	Done() <-chan struct{}
	Err() error
}

// Transport sends requests.
type Transport interface {
	// Send sends one request and returns the whole response, whatever its status.
	// It follows no redirect, sends no cookies, and stops when ctx is done. An
	// error means that there was no complete response.
	Send(ctx Context, r *Request) (*Response, error)
}

// Clock tells the time and waits.
type Clock interface {
	// Now returns the time since 1970.
	Now() Milliseconds
	// AfterFunc calls f once when the time d has passed, unless stop is called
	// before. f does not block, and may be called on any goroutine.
	AfterFunc(d Milliseconds, f func()) (stop func())
}

// Client asks a license server about licenses. Set its fields before the first
// use and don't change them afterwards. A Client may be used concurrently.
type Client struct {
	Transport Transport
	Clock     Clock
	// Random returns a number in [0, 1).
	Random func() float64
}

// RetryPolicy bounds one check. A zero field takes its default.
type RetryPolicy struct {
	Timeout  Milliseconds // for all attempts together; default [DefaultTimeout]
	Attempts int          // how many requests are sent at most; default [MaxAttempts]
}

// Validate checks whether a license may be used on a machine. It returns a
// [Verdict], or an [*Error] if no verdict was reached.
//
// A verdict's Code is [Valid], [MetadataMismatch], [NotFound] or [Inactive]. An
// error's Code is one of
//
//   - [InvalidArgument]: q can't be sent, or the server refused it as malformed
//   - [Unauthorized]: the server refused the API key in q
//   - [RateLimited] or [Unavailable]: every attempt within policy failed so, or
//     the server asked for a longer wait than policy leaves time for
//   - [Timeout] or [Aborted]: the time of policy passed, or ctx ended
//   - [BadResponse]: something that is not a license server answered
//   - [UntrustedResponse]: q.Trust is set, and the response is not proven
//
// Only RateLimited and Unavailable are tried again. If no verdict is reached
// and q has a Trust and a stored lease that holds, the result is a Valid
// verdict from that lease, because refusing it would gain nothing: whoever
// wants it to stand in can unplug the network. This doesn't apply to
// InvalidArgument and Aborted, which are the caller's own.
func (c *Client) Validate(ctx Context, q Query, policy RetryPolicy) (*Verdict, error) {
	request, err := NewRequest(q)
	if err != nil {
		return nil, err
	}
	if q.Trust != nil && q.Stored.Prefer && ctx.Err() == nil {
		if verdict, err := q.standIn(c.Clock.Now(), true); err == nil {
			return verdict, nil
		}
	}
	verdict, failure := c.ask(ctx, q, request, policy)
	if failure == nil {
		return verdict, nil
	}
	if q.Trust == nil || q.Stored.Lease == "" || failure.Code == InvalidArgument || failure.Code == Aborted {
		return nil, failure
	}
	verdict, err = q.standIn(c.Clock.Now(), false)
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
func (c *Client) ask(ctx Context, q Query, request *Request, policy RetryPolicy) (*Verdict, *Error) {
	if policy.Timeout == 0 {
		policy.Timeout = DefaultTimeout
	}
	if policy.Attempts == 0 {
		policy.Attempts = MaxAttempts
	}
	deadline := c.Clock.Now() + policy.Timeout
	limited, release := newCheckContext(ctx, c.Clock, policy.Timeout)
	defer release()

	for attempt := 1; ; attempt++ {
		verdict, err := c.attempt(limited, q, request)
		if err == nil || attempt >= policy.Attempts || err.Code != Unavailable && err.Code != RateLimited {
			return verdict, err
		}
		wait := c.backoff(attempt, err.RetryAfter)
		if wait >= deadline-c.Clock.Now() {
			return nil, err
		}
		if ended := c.sleep(limited, wait); ended != nil {
			if ended.Code == Timeout {
				return nil, err
			}
			return nil, ended
		}
	}
}

func (c *Client) attempt(ctx *checkContext, q Query, request *Request) (*Verdict, *Error) {
	if err := ctx.failure(); err != nil {
		return nil, err
	}
	response, err := c.Transport.Send(ctx, request)
	if err != nil {
		if ended := ctx.failure(); ended != nil {
			return nil, ended
		}
		failure := newError(Unavailable, 0, "The license server can't be reached. Check the connection and try again; this says nothing about the license.")
		failure.Cause = err
		return nil, failure
	}
	verdict, err := ReadResponse(q, response, c.Clock.Now())
	if err != nil {
		return nil, err.(*Error)
	}
	return verdict, nil
}

// backoff returns the wait after an attempt, the first being 1.
func (c *Client) backoff(attempt int, retryAfter Milliseconds) Milliseconds {
	bound := min(backoffBase<<(attempt-1), backoffCap)
	jitter := Milliseconds(c.Random() * float64(bound))
	return max(retryAfter, 0) + jitter
}

func (c *Client) sleep(ctx *checkContext, d Milliseconds) *Error {
	done := make(chan struct{})
	defer c.Clock.AfterFunc(d, func() { close(done) })()
	select {
	case <-done:
	case <-ctx.done:
	}
	return ctx.failure()
}
