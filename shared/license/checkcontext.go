package license

import "sync"

// checkContext is the [Context] of one check: the caller's, with a time limit.
type checkContext struct {
	once sync.Once
	done chan struct{}
	err  *Error // set before done is closed
}

// newCheckContext returns a context that ends after timeout, with ctx, or when it
// is released.
func newCheckContext(ctx Context, clock Clock, timeout Milliseconds) (*checkContext, func()) {
	c := &checkContext{done: make(chan struct{})}
	if ctx.Err() != nil {
		c.abort(ctx)
		return c, func() {}
	}
	stop := clock.AfterFunc(timeout, func() {
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

func (c *checkContext) abort(ctx Context) {
	err := newError(Aborted, 0, "The caller aborted the check.")
	err.Cause = ctx.Err()
	c.end(err)
}

func (c *checkContext) end(err *Error) {
	c.once.Do(func() {
		c.err = err
		close(c.done)
	})
}

// Done returns a channel that is closed when the context has ended.
func (c *checkContext) Done() <-chan struct{} { return c.done }

// Err returns why the context ended, or nil while it goes on.
func (c *checkContext) Err() error {
	if err := c.failure(); err != nil {
		return err // a nil *Error must not become an error that is not nil
	}
	return nil
}

func (c *checkContext) failure() *Error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}
