//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// clock is the page's time.
type clock struct{ *module }

func (c *clock) Now() license.Milliseconds {
	return license.Milliseconds(c.global.Get("Date").Call("now").Float())
}

func (c *clock) AfterFunc(d license.Milliseconds, f func()) (stop func()) {
	t := c.takeTimer()
	t.f = f
	// Look up both now, because a page may replace them before the time has passed.
	set, clear := c.global.Get("setTimeout"), c.global.Get("clearTimeout")
	id := set.Invoke(t.fired, float64(d))
	return func() {
		clear.Invoke(id)
		c.giveTimer(t)
	}
}

// timer calls a function when a time has passed.
type timer struct {
	fired js.Func
	f     func() // called by fired; nil afterwards
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

// giveTimer keeps a timer that was cleared, so that it won't fire, for the next check.
func (m *module) giveTimer(t *timer) {
	t.f = nil
	if len(m.idleTimers) < maxIdle {
		m.idleTimers = append(m.idleTimers, t)
		return
	}
	t.fired.Release()
}
