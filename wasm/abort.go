//go:build js

package main

import "syscall/js"

// signalContext is an AbortSignal as a [license.Context].
type signalContext struct {
	done chan struct{} // nil if there is no signal
	err  error         // set before done is closed
}

// newSignalContext returns a context that ends when signal is aborted, or never if
// signal is undefined. It panics if the signal throws.
func newSignalContext(r *realm, signal js.Value) (c *signalContext, release func()) {
	if signal.IsUndefined() {
		return new(signalContext), func() {}
	}
	c = &signalContext{done: make(chan struct{})}
	end := func() {
		if c.err == nil {
			c.err = js.Error{Value: r.reason(signal)}
			close(c.done)
		}
	}
	if r.get.Invoke(signal, "aborted").Truthy() {
		end()
		return c, func() {}
	}
	listener := js.FuncOf(func(js.Value, []js.Value) any {
		end()
		return nil
	})
	listening := false
	defer func() {
		if !listening {
			listener.Release()
		}
	}()
	signal.Call("addEventListener", "abort", listener)
	listening = true
	return c, func() {
		defer listener.Release()
		defer ignorePanic()
		signal.Call("removeEventListener", "abort", listener)
	}
}

// reason returns why a signal was aborted, or undefined if the signal doesn't tell.
func (r *realm) reason(signal js.Value) js.Value {
	defer ignorePanic()
	return r.get.Invoke(signal, "reason")
}

// ignorePanic is deferred where it doesn't matter that a caller's object throws.
func ignorePanic() { _ = recover() }

func (c *signalContext) Done() <-chan struct{} { return c.done }

func (c *signalContext) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}
