//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// validateLicense reads the arguments at once, so that the caller may change its
// objects afterwards, and returns a promise of the verdict.
func (m *module) validateLicense(args []js.Value) any {
	c, err := m.readArguments(args, js.Undefined())
	return m.start(c, err, func(verdict *license.Verdict) []byte { return verdict.AppendJSON(nil) })
}

// start runs a check, unless err says that its arguments were wrong, and returns a
// promise of what write makes of the verdict as JSON.
func (m *module) start(c *check, err error, write func(*license.Verdict) []byte) any {
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

// run makes one check. A panic ends that check, and not the others that are running.
func (m *module) run(c *check) (verdict *license.Verdict, err error) {
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
