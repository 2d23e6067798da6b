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
	raw   jsontext.Value // nil: absent
	twice bool
}

// given reports whether the member is present and not null.
func (m member) given() bool { return m.raw != nil && m.raw.Kind() != 'n' }

// kind returns the JSON type of the member's value, or what is wrong with the
// member.
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
		return nil, errors.New("not a JSON object")
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
		return nil, errors.New("more than one JSON object")
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

// readReference reads the id of another object, given as a bare id or as an
// object that contains it.
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

// readTime reads a time in ISO 8601 or Unix seconds, and returns it in Unix
// seconds.
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

// IsID reports whether text has the form of one of Whop's ids, of any kind.
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

// unusable returns the error for a deciding member that can't be used.
func unusable(name string, m member) error {
	return fmt.Errorf("the member %s is %s", name, m.kind())
}
