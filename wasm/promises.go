//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// newPromise returns a promise and the functions that settle it. The executor is
// Array.prototype.push, bound to a list that then holds both functions. A Go
// function in its place would run the scheduler inside of the call that waits for it,
// and with it every goroutine that can run, one on top of the other.
func (r *realm) newPromise() (promise, resolve, reject js.Value) {
	settlers := r.array.New()
	promise = r.promise.New(r.bindPush.Invoke(settlers))
	return promise, settlers.Index(0), settlers.Index(1)
}

// awaiter waits for promises, one after the other, with one pair of functions.
type awaiter struct {
	settled             chan settlement
	fulfilled, rejected js.Func
	pending, closed     bool
	done                func(*awaiter) // called once the awaiter is closed and nothing is pending
}

// settlement is how a promise was settled: fulfilled, or rejected if err is set.
type settlement struct {
	value js.Value
	err   error
}

// maxIdle is how many awaiters and how many timers are kept for the next check. Making
// and releasing their functions is a good part of what a check costs.
const maxIdle = 8

func (m *module) takeAwaiter() *awaiter {
	if n := len(m.idleAwaiters); n > 0 {
		a := m.idleAwaiters[n-1]
		m.idleAwaiters = m.idleAwaiters[:n-1]
		a.closed = false
		return a
	}
	a := &awaiter{settled: make(chan settlement, 1), done: m.giveAwaiter}
	a.fulfilled = js.FuncOf(func(_ js.Value, args []js.Value) any {
		a.settle(settlement{value: args[0]})
		return nil
	})
	a.rejected = js.FuncOf(func(_ js.Value, args []js.Value) any {
		a.settle(settlement{err: js.Error{Value: args[0]}})
		return nil
	})
	return a
}

func (m *module) giveAwaiter(a *awaiter) {
	if len(m.idleAwaiters) < maxIdle {
		m.idleAwaiters = append(m.idleAwaiters, a)
		return
	}
	a.fulfilled.Release()
	a.rejected.Release()
}

// await waits for a promise or for the end of ctx. After the latter, a may only be
// closed.
func (a *awaiter) await(ctx license.Context, promise js.Value) (js.Value, error) {
	a.pending = true
	promise.Call("then", a.fulfilled, a.rejected)
	select {
	case got := <-a.settled:
		return got.value, got.err
	case <-ctx.Done():
		return js.Value{}, ctx.Err()
	}
}

func (a *awaiter) settle(got settlement) {
	if !a.pending {
		return // A page's own stream may settle more than once.
	}
	a.pending = false
	if a.closed {
		a.done(a)
		return
	}
	a.settled <- got
}

// close ends the use of a. If a promise is still pending, a is done when it settles,
// which an aborted fetch does.
func (a *awaiter) close() {
	a.closed = true
	select {
	case <-a.settled: // came as the wait for it ended
	default:
	}
	if !a.pending {
		a.done(a)
	}
}
