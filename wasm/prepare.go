//go:build js

package main

import (
	"strconv"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// packageInterface returns what the npm package calls in place of validateLicense,
// because it keeps leases. prepare reads the arguments of a check once, and keeps what
// it read under a handle until release. Only the package learns the skew of a clock.
//
//	verifySettings(settings): LicenseError | null
//	prepare(licenseKey, hwid, options, settings):
//	  LicenseError | { handle, name?, signal?, timeoutMs? }
//	run(handle, kept?, timeoutMs?): Promise<{ verdict, skew? }>
//	refresh(handle): Promise<{ verdict, skew? }>
//	release(handle): undefined
//
// settings are the options that a validator was made with, and kept are those that
// a stored lease adds. Both count only where the caller's options say nothing. name
// is that of the lease in a store, and is absent if the license key can't be one.
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
	return r.settings(settings, &check{query: license.Query{Endpoint: m.endpoint}})
}

func (m *module) prepare(args []js.Value) any {
	c, err := m.readArguments(args[:3], args[3])
	if err != nil {
		return m.errorValue(err)
	}
	out := m.dict("handle", m.keep(c), "signal", c.signal)
	if c.policy.Timeout != 0 {
		out.Set("timeoutMs", float64(c.policy.Timeout))
	}
	// A license key that can't be one has no lease; run says what is wrong with it.
	if name, err := license.LeaseName(c.query.LicenseKey, c.query.MachineID); err == nil {
		out.Set("name", name)
	}
	return out
}

// keep stores a check under a free handle.
func (m *module) keep(c *check) int {
	for handle, prepared := range m.prepared {
		if prepared == nil {
			m.prepared[handle] = c
			return handle
		}
	}
	m.prepared = append(m.prepared, c)
	return len(m.prepared) - 1
}

// runPrepared makes a prepared check, in the time that is left of its own.
func (m *module) runPrepared(args []js.Value) any {
	c := *m.prepared[args[0].Int()]
	if timeoutMs := args[2]; !timeoutMs.IsUndefined() {
		c.policy.Timeout = license.Milliseconds(timeoutMs.Int())
	}
	r := &reader{module: m, argument: "lease"}
	return m.start(&c, r.options(args[1], &c), appendResult)
}

// refresh makes a prepared check that only the server can answer, so without the
// stored lease. It makes one attempt, because the next check tries again anyway.
func (m *module) refresh(args []js.Value) any {
	c := *m.prepared[args[0].Int()]
	c.query.Stored, c.signal, c.policy.Attempts = license.Stored{}, js.Undefined(), 1
	return m.start(&c, nil, appendResult)
}

func (m *module) releasePrepared(args []js.Value) any {
	m.prepared[args[0].Int()] = nil
	return nil
}

// appendResult writes a verdict and, if a lease came with it, the skew to store with
// the lease.
func appendResult(verdict *license.Verdict) []byte {
	out := verdict.AppendJSON([]byte(`{"verdict":`))
	if !verdict.FromLease && verdict.Lease != "" {
		out = strconv.AppendInt(append(out, `,"skew":`...), int64(verdict.Skew), 10)
	}
	return append(out, '}')
}
