//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// check is one call of validateLicense: its arguments, which are read once, and
// what was made of them.
type check struct {
	query  license.Query
	trust  license.Trust
	policy license.RetryPolicy
	signal js.Value // an AbortSignal, or undefined
	given  []string // the names of the options that were read

	ctx     *signalContext
	release func() // ends ctx

	dangerouslyAllowBrowser bool
}

// readArguments reads (licenseKey, hwid, options), and settings that count wherever
// the options say nothing.
func (m *module) readArguments(args []js.Value, settings js.Value) (c *check, err error) {
	r := &reader{module: m}
	defer r.guard(&err)
	argument := func(i int) js.Value {
		if i < len(args) {
			return args[i]
		}
		return js.Undefined()
	}
	c = &check{query: license.Query{Endpoint: m.endpoint}}
	r.argument = "licenseKey"
	if c.query.LicenseKey, err = r.text(argument(0)); err != nil {
		return nil, err
	}
	r.argument = "hwid"
	if c.query.MachineID, err = r.machineID(argument(1)); err != nil {
		return nil, err
	}
	r.argument = "options"
	if err := r.options(argument(2), c); err != nil {
		return nil, err
	}
	if err := r.settings(settings, c); err != nil {
		return nil, err
	}
	return c, nil
}

// settings reads options that the caller didn't give, and makes sure that all
// options fit together.
func (r *reader) settings(v js.Value, c *check) error {
	r.argument = "options"
	if err := r.options(v, c); err != nil {
		return err
	}
	if err := r.settle(c); err != nil {
		return err
	}
	// fetch would refuse it as if there were no connection, and quote it.
	if !r.isURL(c.query.Endpoint) {
		return license.Invalid("endpoint", "has a host that can't be one")
	}
	return nil
}

// begin gives a check a nonce of its own and follows its signal.
func (m *module) begin(c *check) (err error) {
	r := &reader{module: m, argument: "options"}
	defer r.guard(&err)
	if c.query.Trust != nil {
		c.query.Nonce = r.nonce()
	}
	r.argument = "signal"
	c.ctx, c.release = newSignalContext(m.realm, c.signal)
	return nil
}

// isURL reports whether fetch can read an endpoint, as far as this platform can
// tell, and remembers the last one that it could. An endpoint that breaks the rules
// of [license.ParseEndpoint] passes, because their error says more.
func (m *module) isURL(endpoint string) bool {
	if endpoint == m.readable || m.canParse.Type() != js.TypeFunction {
		return true
	}
	if _, err := license.ParseEndpoint(endpoint); err != nil {
		return true
	}
	if !m.canParse.Invoke(endpoint).Bool() {
		return false
	}
	m.readable = endpoint
	return true
}

// machineID reads the argument hwid: a string, which is sent as HWID, or an object
// of strings, which is sent as it is.
func (r *reader) machineID(v js.Value) (map[string]string, error) {
	switch v.Type() {
	case js.TypeUndefined:
		return nil, nil
	case js.TypeString:
		s, err := r.text(v)
		return map[string]string{"HWID": s}, err
	}
	machineID := map[string]string{}
	err := r.members(v, license.MaxMetadataKeys, func(name string, value js.Value) (err error) {
		machineID[name], err = r.text(value)
		return err
	})
	return machineID, err
}

// maxOptions is more than there are options. It bounds how much is read of an object
// that is something else.
const maxOptions = 20

// options reads an object of options. If two objects name the same option, the first
// counts.
func (r *reader) options(v js.Value, c *check) error {
	if v.IsUndefined() {
		return nil
	}
	return r.members(v, maxOptions, func(name string, value js.Value) (err error) {
		if value.IsUndefined() || c.has(name) {
			return nil
		}
		c.given = append(c.given, name)
		r.argument = name
		switch name {
		case "endpoint":
			c.query.Endpoint, err = r.text(value)
		case "apiKey":
			c.query.APIKey, err = r.filled(value)
		case "dangerouslyAllowBrowser":
			c.dangerouslyAllowBrowser, err = r.boolean(value)
		case "timeoutMs":
			var n int64
			n, err = r.number(value, int64(license.MaxTimeout))
			c.policy.Timeout = license.Milliseconds(n)
		case "maxAttempts":
			var n int64
			n, err = r.number(value, license.MaxAttempts)
			c.policy.Attempts = int(n)
		case "signal":
			c.signal, err = value, r.abortSignal(value)
		case "publicKey":
			c.trust.Keys, err = r.publicKeys(value)
		case "issuer":
			c.trust.Issuer, err = r.filled(value)
		case "audience":
			c.trust.Audience, err = r.filled(value)
		case "lease":
			c.query.Stored.Lease, err = r.text(value)
		case "preferLease":
			c.query.Stored.Prefer, err = r.boolean(value)
		case "clock":
			err = r.clock(value, &c.query.Stored)
		default:
			r.argument = "options"
			err = r.invalid("has a member that is no option: " + shown(name))
		}
		return err
	})
}

func (c *check) has(name string) bool {
	for _, given := range c.given {
		if given == name {
			return true
		}
	}
	return false
}

// settle makes sure that the options fit together. A public key that was built into
// the module can't be replaced, options that need a public key are refused without
// one, and so is an API key where strangers could read it.
func (r *reader) settle(c *check) error {
	given := c.trust.Keys != nil
	switch {
	case r.trust != nil && given:
		return license.Invalid("publicKey", "is built into this module and can't be replaced; leave it out")
	case r.trust != nil:
		c.trust.Keys = r.trust.Keys
	case !given && (c.trust.Issuer != "" || c.trust.Audience != "" || c.query.Stored != license.Stored{}):
		return license.Invalid("publicKey", "is missing; without it no lease, issuer, audience or clock can be checked")
	}
	if c.trust.Keys != nil {
		c.query.Trust = &c.trust
	}
	if c.query.APIKey != "" && !c.dangerouslyAllowBrowser && r.isBrowser() {
		return license.Invalid("apiKey", "would be readable by every customer here, and can change every membership of the business; leave it out and use a license gateway as the endpoint, or set dangerouslyAllowBrowser where nobody else gets this page")
	}
	return nil
}

// maxPublicKeys is how many keys may be in use while they are rotated.
const maxPublicKeys = 10

func (r *reader) publicKeys(v js.Value) ([]lease.PublicKey, error) {
	list := []js.Value{v}
	if v.Type() == js.TypeObject && r.isArray.Invoke(v).Bool() {
		n := r.get.Invoke(v, "length").Int()
		if n < 1 || n > maxPublicKeys {
			return nil, r.invalid("must be 1 to 10 keys")
		}
		list = nil
		for i := range n {
			list = append(list, r.get.Invoke(v, i))
		}
	}
	keys := make([]lease.PublicKey, len(list))
	for i, item := range list {
		text, err := r.text(item)
		if err != nil {
			return nil, err
		}
		if keys[i], err = r.publicKey(text); err != nil {
			return nil, r.invalid(err.Error())
		}
	}
	return keys, nil
}

// clock reads {lastSeen, skew}: milliseconds since the epoch, and the server's
// time less this clock's.
func (r *reader) clock(v js.Value, stored *license.Stored) error {
	hasLastSeen := false
	err := r.members(v, 2, func(name string, value js.Value) error {
		least, place := 0.0, &stored.LastSeen
		switch name {
		case "lastSeen":
			hasLastSeen = true
		case "skew":
			if value.IsUndefined() {
				return nil
			}
			least, place = -maxDate, &stored.Skew
		default:
			return r.invalid("has a member that is not lastSeen or skew: " + shown(name))
		}
		if value.Type() == js.TypeNumber {
			if f := value.Float(); f >= least && f <= maxDate {
				*place = license.Milliseconds(f)
				return nil
			}
		}
		return r.invalid(name + " must be a time in milliseconds that a Date can hold")
	})
	if err == nil && !hasLastSeen {
		err = r.invalid("has no lastSeen; without it a clock that was turned back would extend a lease")
	}
	return err
}

// maxDate is the greatest time that a JavaScript Date holds.
const maxDate = 8.64e15
