package whop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// member is a member of a JSON object, not yet read.
type member struct {
	raw   jsontext.Value // nil: there is none
	twice bool
}

// given reports whether the member is there and not null.
func (m member) given() bool { return m.raw != nil && m.raw.Kind() != 'n' }

// kind is what JSON calls the type of the member's value.
func (m member) kind() string {
	switch {
	case m.raw == nil:
		return "absent"
	case m.twice:
		return "given twice"
	}
	switch m.raw.Kind() {
	case 'n':
		return "null"
	case 't', 'f':
		return "boolean"
	case '"':
		return "string"
	case '0':
		return "number"
	case '[':
		return "array"
	default:
		return "object"
	}
}

// readMembers finds the named members of the one JSON object in data. All other
// members need only be JSON: they may have any type, come twice, and hold
// malformed Unicode.
func readMembers(data []byte, names ...string) (map[string]member, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if dec.PeekKind() != '{' {
		return nil, errors.New("not an object in JSON")
	}
	broken := errors.New("not JSON") // the cause could quote personal data
	if _, err := dec.ReadToken(); err != nil {
		return nil, broken
	}
	found := make(map[string]member, len(names))
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, broken
		}
		i := slices.Index(names, name.String())
		if i < 0 {
			if err := dec.SkipValue(); err != nil {
				return nil, broken
			}
			continue
		}
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, broken
		}
		end := dec.InputOffset()
		_, twice := found[names[i]]
		found[names[i]] = member{raw: data[end-int64(len(raw)) : end : end], twice: twice}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, broken
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errors.New("more than an object in JSON")
	}
	return found, nil
}

// readText reads a string.
func readText(raw jsontext.Value) (text string, ok bool) {
	if raw.Kind() != '"' || json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}

// readReference reads the id of another object, given bare or as an object that
// has it.
func readReference(m member) (id string, ok bool) {
	if m.twice {
		return "", false
	}
	raw := m.raw
	if raw.Kind() == '{' {
		object, err := readMembers(raw, "id")
		if err != nil || object["id"].twice {
			return "", false
		}
		raw = object["id"].raw
	}
	id, ok = readText(raw)
	return id, ok && IsID(id)
}

// readTime reads a time, given in ISO 8601 or in Unix seconds, in Unix seconds.
func readTime(m member) (seconds *int64, ok bool) {
	if m.twice {
		return nil, false
	}
	if text, ok := readText(m.raw); ok {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, false
		}
		return new(at.Unix()), true
	}
	var number float64
	if m.raw.Kind() != '0' || json.Unmarshal(m.raw, &number) != nil || number < 0 || number > 1<<40 {
		return nil, false
	}
	return new(int64(math.Floor(number))), true
}

const (
	idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	maxID        = 100
)

// IsID reports whether text has the form of an id of Whop's, of any kind.
func IsID(text string) bool {
	return text != "" && len(text) <= maxID && strings.Trim(text, idCharacters) == ""
}

// isMembershipID reports whether Whop would take text for a membership's id
// rather than a license key.
func isMembershipID(text string) bool {
	return strings.HasPrefix(text, "mem_") && len(text) > len("mem_")
}

func first[T comparable](a, b T) T {
	var none T
	if a != none {
		return a
	}
	return b
}

// unusable says that a deciding member can't be used, and why.
func unusable(name string, m member) error {
	return fmt.Errorf("the member %s is %s", name, m.kind())
}
