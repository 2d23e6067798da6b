//go:build js

package main

import (
	"strconv"
	"strings"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

// maxString bounds what is copied of a caller's string, in UTF-16 units. It is far
// above what any argument may hold, so that the rules give the exact error.
const maxString = 16 << 10

// reader reads a caller's values, which may be anything.
type reader struct {
	*module
	argument string // the one being read, for the error
}

// guard turns what a getter or a proxy of the caller throws into a
// [license.InvalidArgument] error.
func (r *reader) guard(err *error) {
	if p := recover(); p != nil {
		invalid := r.invalid("can't be read").(*license.Error)
		if thrown, ok := p.(js.Error); ok {
			invalid.Cause = thrown
		}
		*err = invalid
	}
}

func (r *reader) invalid(problem string) error { return license.Invalid(r.argument, problem) }

// text reads a string. It refuses lone surrogates, because they become U+FFFD on the
// way into Go, and two different strings would become one.
func (r *reader) text(v js.Value) (string, error) {
	if v.Type() != js.TypeString {
		return "", r.invalid("must be a string, not " + describe(v))
	}
	if unit := r.charCodeAt.Invoke(v, maxString).Float(); unit == unit { // NaN is past the end
		return "", r.invalid("is too long")
	}
	s := v.String()
	// Only a string with U+FFFD can have lost something. ValueOf drops one U+FEFF at
	// the start of a string.
	if strings.Contains(s, "\ufffd") && !js.ValueOf("\ufeff"+s).Equal(v) {
		return "", r.invalid("is not well-formed Unicode")
	}
	return s, nil
}

// members calls f with each own member of a plain object. It refuses an object with
// a prototype of its own, whose members the caller may not know of.
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
