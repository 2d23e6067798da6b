//go:build js

package main

import (
	"runtime"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// collectEvery is how many checks pass between two garbage collections. Left to
// itself the collector first runs when the heap has doubled, and a page never
// gets back what WebAssembly memory has grown by.
const collectEvery = 32

// module is the running module. Its settings don't change after start; what it
// keeps to be used again does.
type module struct {
	*realm
	endpoint string
	readable string // the last endpoint that fetch can read
	checks   int
	trust    *license.Trust // where a public key is built in, else nil
	// keys are the public keys that were parsed before: parsing one takes as
	// long as checking a signature.
	keys map[string]lease.PublicKey

	idleAnswers []*answers
	idleTimers  []*timer

	prepared []*call // by handle; nil where a handle is free
}

// publicKey parses a public key, or remembers it.
func (m *module) publicKey(text string) (lease.PublicKey, error) {
	if key, ok := m.keys[text]; ok {
		return key, nil
	}
	key, err := lease.ParsePublicKey(text)
	if err == nil {
		if m.keys == nil || len(m.keys) >= 2*maxPublicKeys {
			m.keys = make(map[string]lease.PublicKey)
		}
		m.keys[text] = key
	}
	return key, err
}

// validateLicense reads the arguments at once, so that a caller may change its
// objects after the call, and returns a promise for the rest.
func (m *module) validateLicense(args []js.Value) any {
	c, err := m.readCall(args, js.Undefined())
	return m.answer(c, err, func(verdict *license.Verdict) []byte { return verdict.AppendJSON(nil) })
}

// answer runs a call that was read without an error, and returns a promise of its
// verdict, written as JSON.
func (m *module) answer(c *call, err error, write func(*license.Verdict) []byte) any {
	promise, resolve, reject := m.newPromise()
	if err == nil {
		err = m.begin(c)
	}
	if err != nil {
		reject.Invoke(m.errorValue(err))
		return promise
	}
	go func() {
		defer m.collect()
		verdict, err := m.run(c)
		if err != nil {
			reject.Invoke(m.errorValue(err))
			return
		}
		resolve.Invoke(m.parse.Invoke(string(write(verdict))))
	}()
	return promise
}

func (m *module) collect() {
	if m.checks++; m.checks%collectEvery == 0 {
		runtime.GC()
	}
}

// run answers one call. Whatever goes wrong in it ends here, and not the other
// calls that are in flight.
func (m *module) run(c *call) (verdict *license.Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			failure := &license.Error{Code: loadFailed, RetryAfter: -1,
				Message: "The license module failed inside. Please report this; it says nothing about the license."}
			if thrown, ok := p.(error); ok {
				failure.Cause = thrown
			}
			verdict, err = nil, failure
		}
	}()
	defer c.release()
	client := license.Client{
		Transport: &fetchTransport{m},
		Clock:     &clock{m},
		Random:    func() float64 { return m.global.Get("Math").Call("random").Float() },
	}
	return client.Validate(c.ctx, c.query, c.policy)
}

// signalContext is an AbortSignal as a license.Context.
type signalContext struct {
	done chan struct{} // nil where there is no signal
	err  error         // set before done is closed
}

// newSignalContext follows a signal, or nothing where it is undefined. It
// panics where the signal is an object that throws.
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

// reason returns why a signal was aborted, or undefined where it doesn't tell.
func (r *realm) reason(signal js.Value) js.Value {
	defer ignorePanic()
	return r.get.Invoke(signal, "reason")
}

// ignorePanic stands where a caller's object can throw and nothing is lost.
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

// clock is the page's time.
type clock struct{ *module }

func (c *clock) Now() license.Milliseconds {
	return license.Milliseconds(c.global.Get("Date").Call("now").Float())
}

func (c *clock) AfterFunc(d license.Milliseconds, f func()) (stop func()) {
	t := c.takeTimer()
	t.f = f
	// Both now, as a page may put others in their place while the time runs.
	set, clear := c.global.Get("setTimeout"), c.global.Get("clearTimeout")
	id := set.Invoke(t.fired, float64(d))
	return func() {
		clear.Invoke(id)
		c.giveTimer(t)
	}
}

// timer is a function to be called when a time has passed.
type timer struct {
	fired js.Func
	f     func() // called by fired; nil once it was
}

func (m *module) takeTimer() *timer {
	if n := len(m.idleTimers); n > 0 {
		t := m.idleTimers[n-1]
		m.idleTimers = m.idleTimers[:n-1]
		return t
	}
	t := new(timer)
	t.fired = js.FuncOf(func(js.Value, []js.Value) any {
		if f := t.f; f != nil {
			t.f = nil
			f()
		}
		return nil
	})
	return t
}

// giveTimer takes back a timer that was cleared, and so won't be called again.
func (m *module) giveTimer(t *timer) {
	t.f = nil
	if len(m.idleTimers) < maxIdle {
		m.idleTimers = append(m.idleTimers, t)
		return
	}
	t.fired.Release()
}
