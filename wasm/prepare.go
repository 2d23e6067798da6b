//go:build js

package main

import (
	"strconv"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// packageInterface is what the npm package calls, which keeps leases, in place of
// validateLicense. A call's arguments are read once, by prepare; what was read
// stays under a handle until it is released. The package alone is told a skew.
//
//	verifySettings(settings): LicenseError | null
//	prepare(licenseKey, hwid, options, settings):
//	  LicenseError | { handle, name?, signal?, timeoutMs? }
//	run(handle, kept?, timeoutMs?): Promise<{ verdict, skew? }>
//	refresh(handle): Promise<{ verdict, skew? }>
//	release(handle): undefined
//
// The settings are options that a validator was made with, and kept is what was
// kept of a lease: both stand only where the caller's options name no other. The
// name is the lease's in a store, and is missing where the key can't be one.
func (m *module) packageInterface() js.Value {
	function := func(f func(args []js.Value) any) js.Func {
		return js.FuncOf(func(_ js.Value, args []js.Value) any { return f(args) })
	}
	return m.dict(
		"verifySettings", function(m.verifySettings),
		"prepare", function(m.prepare),
		"run", function(m.runPrepared),
		"refresh", function(m.refresh),
		"release", function(m.releasePrepared),
	)
}

func (m *module) verifySettings(args []js.Value) any {
	if err := m.readSettings(args[0]); err != nil {
		return m.errorValue(err)
	}
	return nil
}

func (m *module) readSettings(settings js.Value) (err error) {
	r := &reader{module: m}
	defer r.guard(&err)
	return r.settings(settings, &call{query: license.Query{Endpoint: m.endpoint}})
}

func (m *module) prepare(args []js.Value) any {
	c, err := m.readCall(args[:3], args[3])
	if err != nil {
		return m.errorValue(err)
	}
	out := m.dict("handle", m.keep(c), "signal", c.signal)
	if c.policy.Timeout != 0 {
		out.Set("timeoutMs", float64(c.policy.Timeout))
	}
	// A key that can't be one has no lease; run says what is wrong with it.
	if name, err := license.LeaseName(c.query.LicenseKey, c.query.MachineID); err == nil {
		out.Set("name", name)
	}
	return out
}

// keep puts a call under a free handle.
func (m *module) keep(c *call) int {
	for handle, prepared := range m.prepared {
		if prepared == nil {
			m.prepared[handle] = c
			return handle
		}
	}
	m.prepared = append(m.prepared, c)
	return len(m.prepared) - 1
}

// runPrepared sends a prepared call, with the time that is left of its own.
func (m *module) runPrepared(args []js.Value) any {
	c := *m.prepared[args[0].Int()]
	if timeoutMs := args[2]; !timeoutMs.IsUndefined() {
		c.policy.Timeout = license.Milliseconds(timeoutMs.Int())
	}
	r := &reader{module: m, argument: "lease"}
	return m.answer(&c, r.options(args[1], &c), appendAnswer)
}

// refresh sends a prepared call once, as the next call tries again, and without
// a lease, as only the server will do.
func (m *module) refresh(args []js.Value) any {
	c := *m.prepared[args[0].Int()]
	c.query.Stored, c.signal, c.policy.Attempts = license.Stored{}, js.Undefined(), 1
	return m.answer(&c, nil, appendAnswer)
}

func (m *module) releasePrepared(args []js.Value) any {
	m.prepared[args[0].Int()] = nil
	return nil
}

// appendAnswer writes a verdict and, where a lease came just now, the skew to keep with it.
func appendAnswer(verdict *license.Verdict) []byte {
	out := verdict.AppendJSON([]byte(`{"verdict":`))
	if !verdict.FromLease && verdict.Lease != "" {
		out = strconv.AppendInt(append(out, `,"skew":`...), int64(verdict.Skew), 10)
	}
	return append(out, '}')
}
