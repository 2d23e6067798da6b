//go:build js

package main

import (
	"strconv"
	"strings"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// maxString bounds what is copied from a caller's string, in UTF-16 units. It
// is far above what any argument may hold, so the rules give the exact error.
const maxString = 16 << 10

// call is one call's arguments, read once.
type call struct {
	query  license.Query
	trust  license.Trust
	policy license.RetryPolicy
	signal js.Value // an AbortSignal, or undefined
	given  []string // the names of the options that were read

	ctx     *signalContext
	release func() // ends ctx

	dangerouslyAllowBrowser bool
}

// reader reads a caller's values, which may be anything.
type reader struct {
	*module
	argument string // being read, for the error
}

// guard makes an [license.InvalidArgument] of what a getter or a proxy of the
// caller throws.
func (r *reader) guard(err *error) {
	if p := recover(); p != nil {
		invalid := r.invalid("can't be read").(*license.Error)
		if thrown, ok := p.(js.Error); ok {
			invalid.Cause = thrown
		}
		*err = invalid
	}
}

// readCall reads (licenseKey, hwid, options), and after them settings that stand
// wherever the options name none.
func (m *module) readCall(args []js.Value, settings js.Value) (c *call, err error) {
	r := &reader{module: m}
	defer r.guard(&err)
	argument := func(i int) js.Value {
		if i < len(args) {
			return args[i]
		}
		return js.Undefined()
	}
	c = &call{query: license.Query{Endpoint: m.endpoint}}
	r.argument = "licenseKey"
	if c.query.LicenseKey, err = r.text(argument(0)); err != nil {
		return nil, err
	}
	r.argument = "hwid"
	if c.query.MachineID, err = r.metadata(argument(1)); err != nil {
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

// settings reads options that are not the caller's own, and holds all of them
// against each other.
func (r *reader) settings(v js.Value, c *call) error {
	r.argument = "options"
	if err := r.options(v, c); err != nil {
		return err
	}
	if err := r.settle(c); err != nil {
		return err
	}
	// What fetch can't read it refuses as if there were no connection, and quotes.
	if !r.isURL(c.query.Endpoint) {
		return license.Invalid("endpoint", "has a host that can't be one")
	}
	return nil
}

// begin makes a call ready to be sent, with a nonce of its own, and follows its signal.
func (m *module) begin(c *call) (err error) {
	r := &reader{module: m, argument: "options"}
	defer r.guard(&err)
	if c.query.Trust != nil {
		c.query.Nonce = r.nonce()
	}
	r.argument = "signal"
	c.ctx, c.release = newSignalContext(m.realm, c.signal)
	return nil
}

// isURL reports whether fetch can read an endpoint, as far as this platform
// tells, and remembers the last that it could. What is wrong with one that breaks
// our own rules they say better.
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

func (r *reader) invalid(problem string) error { return license.Invalid(r.argument, problem) }

// text reads a string. A lone surrogate would become U+FFFD on the way into Go,
// and so stand for another string than the caller's.
func (r *reader) text(v js.Value) (string, error) {
	if v.Type() != js.TypeString {
		return "", r.invalid("must be a string, not " + describe(v))
	}
	if unit := r.charCodeAt.Invoke(v, maxString).Float(); unit == unit { // NaN is past the end
		return "", r.invalid("is too long")
	}
	s := v.String()
	// Only a string with U+FFFD can have lost something on its way. What turns it
	// back into a JavaScript string drops one U+FEFF at its start.
	if strings.Contains(s, "\ufffd") && !js.ValueOf("\ufeff"+s).Equal(v) {
		return "", r.invalid("is not well-formed Unicode")
	}
	return s, nil
}

// metadata reads the machine id, as a string that Whop knows as HWID, or as an
// object of strings.
func (r *reader) metadata(v js.Value) (map[string]string, error) {
	switch v.Type() {
	case js.TypeUndefined:
		return nil, nil
	case js.TypeString:
		s, err := r.text(v)
		return map[string]string{"HWID": s}, err
	}
	metadata := map[string]string{}
	err := r.members(v, license.MaxMetadataKeys, func(name string, value js.Value) (err error) {
		metadata[name], err = r.text(value)
		return err
	})
	return metadata, err
}

// members calls f with each own member of a plain object. What a prototype
// holds is not the caller's word, so an object with one of its own is refused.
func (r *reader) members(v js.Value, most int, f func(name string, value js.Value) error) error {
	if v.Type() != js.TypeObject || r.isArray.Invoke(v).Bool() || !r.isPlain(v) {
		return r.invalid("must be a plain object, not " + describe(v))
	}
	keys := r.ownKeys.Invoke(v)
	if keys.Length() > most {
		return r.invalid("has too many members")
	}
	for i := range keys.Length() {
		key := keys.Index(i)
		name, err := r.text(key)
		if err != nil {
			return r.invalid("has a member whose name is not a well-formed string")
		}
		if err := f(name, r.get.Invoke(v, key)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) isPlain(v js.Value) bool {
	proto := r.getPrototypeOf.Invoke(v)
	return proto.IsNull() || r.getPrototypeOf.Invoke(proto).IsNull()
}

// maxOptions is above the number of options there are, and bounds the reading
// of an object that has nothing to do with them.
const maxOptions = 20

// options reads an object of options. Of one that is read twice, in two objects,
// the first stands.
func (r *reader) options(v js.Value, c *call) error {
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

func (c *call) has(name string) bool {
	for _, given := range c.given {
		if given == name {
			return true
		}
	}
	return false
}

// settle holds the options against each other. A key that was built into the
// module can't be replaced, what only a key can check is not taken without one,
// and an API key is not taken where strangers could read it.
func (r *reader) settle(c *call) error {
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
	return r.members(v, 2, func(name string, value js.Value) error {
		least, place := 0.0, &stored.LastSeen
		switch name {
		case "lastSeen":
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
}

// maxDate is the greatest time that a JavaScript Date holds.
const maxDate = 8.64e15

// filled reads a string that is not empty.
func (r *reader) filled(v js.Value) (string, error) {
	s, err := r.text(v)
	if err == nil && s == "" {
		err = r.invalid("is empty; leave it out where there is none")
	}
	return s, err
}

func (r *reader) boolean(v js.Value) (bool, error) {
	if v.Type() != js.TypeBoolean {
		return false, r.invalid("must be true or false, not " + describe(v))
	}
	return v.Bool(), nil
}

// number reads a whole number from 1 to most.
func (r *reader) number(v js.Value, most int64) (int64, error) {
	if v.Type() == js.TypeNumber {
		if f := v.Float(); f >= 1 && f <= float64(most) && f == float64(int64(f)) {
			return int64(f), nil
		}
	}
	return 0, r.invalid("must be a whole number from 1 to " + strconv.FormatInt(most, 10))
}

func (r *reader) abortSignal(v js.Value) error {
	if v.Type() == js.TypeObject &&
		r.get.Invoke(v, "aborted").Type() == js.TypeBoolean &&
		r.get.Invoke(v, "addEventListener").Type() == js.TypeFunction &&
		r.get.Invoke(v, "removeEventListener").Type() == js.TypeFunction {
		return nil
	}
	return r.invalid("must be an AbortSignal, not " + describe(v))
}

func describe(v js.Value) string {
	switch v.Type() {
	case js.TypeUndefined, js.TypeNull:
		return v.Type().String()
	case js.TypeObject:
		return "an object of another kind"
	}
	return "a " + v.Type().String()
}

// shown keeps a caller's text short in an error.
func shown(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
