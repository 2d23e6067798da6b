package license

import (
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/jsonobject"
)

// These say what is wrong with a response, as the end of a sentence that begins
// with "its answer".
var (
	errUnknownStatus = errors.New("has a status that the contract doesn't know")
	errRedirect      = errors.New("is a redirect, which is not followed")
	errTooLong       = errors.New("has a body of over 64 KiB")
	errNotJSON       = errors.New("has a body that is not a JSON object")
	errNoError       = errors.New("has a body that is not an error message")
	errNoValid       = errors.New(`has a body without a "valid" that is true or false`)
	errWrongType     = errors.New("has a member of the wrong type in its body")
	errNotItsOwn     = errors.New("is an error that the license server doesn't send")
)

// readObject reads body, which must be one strictly spelled JSON object.
func readObject(body []byte, member jsonobject.Member) error {
	if len(body) > MaxBody {
		return errTooLong
	}
	switch err := jsonobject.Read(body, member); err {
	case jsonobject.ErrNotObject, jsonobject.ErrNotJSON, jsonobject.ErrTrailing:
		return errNotJSON
	default:
		return err
	}
}

// success is the body of a 200 or 201.
type success struct {
	valid      bool
	membership Membership
	lease      string
}

// readSuccess reads Whop's v2 membership and a gateway's lease. Only "valid" must
// be there. Other known members must be null or have their type, and unknown
// members may be anything.
func readSuccess(body []byte) (s success, err error) {
	hasValid := false
	err = readObject(body, func(d *jsontext.Decoder, name string) error {
		switch name {
		case "valid":
			hasValid = true
			return readValid(d, &s.valid)
		case "lease":
			value, err := readField(d, kindString)
			if value != nil {
				text, _ := jsontext.AppendUnquote(nil, value)
				s.lease = string(text)
			}
			return err
		}
		for _, f := range fields {
			if f.name == name {
				value, err := readField(d, f.kind)
				if value != nil {
					s.membership = append(s.membership, Member{name, value})
				}
				return err
			}
		}
		return d.SkipValue()
	})
	if err == nil && !hasValid {
		err = errNoValid
	}
	return s, err
}

func readValid(d *jsontext.Decoder, valid *bool) error {
	kind := d.PeekKind()
	if kind != 't' && kind != 'f' {
		return errNoValid
	}
	*valid = kind == 't'
	return d.SkipValue()
}

// readField reads a value of the given kind. It returns nil for null, except that
// null is a value of a time: it says that there is none.
func readField(d *jsontext.Decoder, want kind) (jsontext.Value, error) {
	if want == kindID && d.PeekKind() == '{' {
		return readExpanded(d)
	}
	raw, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	value := raw.Clone()
	switch got := value.Kind(); {
	case got == 'n' && want == kindTime:
		return value, nil
	case got == 'n':
		return nil, nil
	case want == kindTime:
		return readTime(value)
	case want == kindInt && got == '0':
		return readInt(value)
	case (want == kindString || want == kindID) && got == '"',
		want == kindBool && (got == 't' || got == 'f'),
		want == kindObject && got == '{':
		return value, nil
	}
	return nil, errWrongType
}

func readExpanded(d *jsontext.Decoder) (id jsontext.Value, err error) {
	err = jsonobject.ReadMembers(d, func(d *jsontext.Decoder, name string) (err error) {
		if name != "id" {
			return d.SkipValue()
		}
		id, err = readField(d, kindString)
		return err
	})
	return id, err
}

// readInt reads an integer that JavaScript holds exactly, dropping a fraction.
func readInt(value jsontext.Value) (jsontext.Value, error) {
	whole, fraction, _ := strings.Cut(string(value), ".")
	if _, ok := parseDigits(strings.TrimPrefix(whole, "-")); !ok || strings.ContainsAny(fraction, "eE") {
		return nil, errWrongType
	}
	return jsontext.Value(whole), nil
}

// readTime reads Unix seconds as a number or a string of digits, or an RFC 3339
// time, into Unix seconds.
func readTime(value jsontext.Value) (jsontext.Value, error) {
	if value.Kind() == '0' {
		return readInt(value)
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return nil, errWrongType
	}
	seconds, ok := parseDigits(string(text))
	if !ok {
		seconds, ok = parseISO(string(text))
	}
	if !ok {
		return nil, errWrongType
	}
	return strconv.AppendInt(nil, seconds, 10), nil
}

// problem is the body of an error response.
type problem struct{ code, message, proof string }

// readProblem reads the body of an error in any of the shapes that Whop sends:
// {"error":{"code":…,"type":…,"message":…}}, {"error":"…"} and {"message":"…"}.
// A gateway adds "proof" to the first.
func readProblem(body []byte) (p problem, err error) {
	found := false
	err = readObject(body, func(d *jsontext.Decoder, name string) error {
		kind := d.PeekKind()
		switch {
		case name == "error" && kind == '{':
			found = true
			return jsonobject.ReadMembers(d, func(d *jsontext.Decoder, name string) error {
				switch name {
				case "code":
					return readText(d, &p.code)
				case "message":
					return readText(d, &p.message)
				case "proof":
					return readText(d, &p.proof)
				}
				return d.SkipValue()
			})
		case (name == "error" || name == "message") && kind == '"':
			found = true
			return readText(d, &p.message)
		}
		return d.SkipValue()
	})
	if err == nil && !found {
		err = errNoError
	}
	if err != nil {
		return problem{}, err
	}
	return p, nil
}

// readText reads a string, and passes over a value of another type.
func readText(d *jsontext.Decoder, dst *string) error {
	if d.PeekKind() != '"' {
		return d.SkipValue()
	}
	token, err := d.ReadToken()
	if err == nil {
		*dst = token.String()
	}
	return err
}
