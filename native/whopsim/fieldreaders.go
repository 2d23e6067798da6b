package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A reader reads the value of one field. It returns an error for values that it doesn't
// accept, including null unless its comment says otherwise.

type reader = func(json.RawMessage) error

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }

func decode[T any](raw json.RawMessage, what string) (T, error) {
	var v T
	if isNull(raw) || json.Unmarshal(raw, &v) != nil {
		return v, fmt.Errorf("must be %s", what)
	}
	return v, nil
}

func text(to *string) reader {
	return func(raw json.RawMessage) error {
		s, err := decode[string](raw, "a string")
		if err != nil {
			return err
		}
		if s == "" || utf8.RuneCountInString(s) > 200 {
			return errors.New("must have 1 to 200 characters")
		}
		*to = s
		return nil
	}
}

func oneOf(to *string, allowed []string) reader {
	return func(raw json.RawMessage) error {
		s, err := decode[string](raw, "a string")
		if err != nil {
			return err
		}
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("%q is unknown; known are %s", s, strings.Join(allowed, ", "))
		}
		*to = s
		return nil
	}
}

// nullable clears on null.
func nullable(to *string, otherwise reader) reader {
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = ""
			return nil
		}
		return otherwise(raw)
	}
}

func header(to *string) reader {
	return func(raw json.RawMessage) error {
		s, err := decode[string](raw, "a string")
		if err != nil {
			return err
		}
		if len(s) > 200 || strings.ContainsFunc(s, unicode.IsControl) {
			return errors.New("must have at most 200 characters, none of them a control character")
		}
		*to = s
		return nil
	}
}

func boolean(to *bool) reader {
	return func(raw json.RawMessage) (err error) {
		*to, err = decode[bool](raw, "true or false")
		return err
	}
}

// optional treats null as "not set".
func optional(to **bool) reader {
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = nil
			return nil
		}
		b, err := decode[bool](raw, "true, false or null")
		*to = &b
		return err
	}
}

func integer(to *int64, least, most int64) reader {
	return func(raw json.RawMessage) error {
		n, err := decode[int64](raw, "an integer")
		if err != nil {
			return err
		}
		if n < least || n > most {
			return fmt.Errorf("must be from %d to %d", least, most)
		}
		*to = n
		return nil
	}
}

func probability(to *float64) reader {
	return func(raw json.RawMessage) error {
		p, err := decode[float64](raw, "a number")
		if err != nil {
			return err
		}
		if p < 0 || p > 1 {
			return errors.New("must be from 0 to 1")
		}
		*to = p
		return nil
	}
}

// duration reads Go's notation, such as "250ms".
func duration(to *time.Duration) reader {
	return func(raw json.RawMessage) error {
		s, err := decode[string](raw, `a duration such as "250ms"`)
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d > maxHold {
			return fmt.Errorf(`must be a duration such as "250ms", at most %s`, maxHold)
		}
		*to = d
		return nil
	}
}

// unixTime reads Unix seconds, an ISO 8601 string or null.
func unixTime(to **int64) reader {
	const lastSecond = 253402300799 // of the year 9999, the last that ISO 8601 writes with four digits
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = nil
			return nil
		}
		var seconds int64
		if json.Unmarshal(raw, &seconds) != nil {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				return errors.New("must be Unix seconds, an ISO 8601 string or null")
			}
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return fmt.Errorf("%q is not an ISO 8601 time such as 2026-01-31T12:00:00Z", s)
			}
			seconds = t.Unix()
		}
		if seconds < 0 || seconds > lastSecond {
			return errors.New("must lie between the years 1970 and 9999")
		}
		*to = &seconds
		return nil
	}
}

func operationList(to *[]operation) reader {
	return func(raw json.RawMessage) error {
		list, err := decode[[]operation](raw, "a list of operations")
		if err != nil {
			return err
		}
		for _, op := range list {
			if op != opValidate && op != opGet && op != opPatch {
				return fmt.Errorf("%q is unknown; known are %s, %s, %s", op, opValidate, opGet, opPatch)
			}
		}
		*to = list
		return nil
	}
}

// rawMembers reads an object whose values are sent unchanged, or null for none.
func rawMembers(to *map[string]json.RawMessage) reader {
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = nil
			return nil
		}
		fields, err := object(raw)
		if err != nil {
			return errors.New("must be an object or null")
		}
		for name, value := range fields {
			var compact, escaped bytes.Buffer
			if err := json.Compact(&compact, value); err != nil {
				return errors.New("must be an object or null")
			}
			json.HTMLEscape(&escaped, compact.Bytes()) // as it is when shown, so that it stays the same
			fields[name] = escaped.Bytes()
		}
		*to = fields
		return nil
	}
}

// names reads a list of strings, or null for none.
func names(to *[]string) reader {
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = nil
			return nil
		}
		list, err := decode[[]string](raw, "a list of names or null")
		if err != nil {
			return err
		}
		*to = list
		return nil
	}
}

// metadataField accepts null, which the Current API then sends as null.
func metadataField(to *map[string]any) reader {
	return func(raw json.RawMessage) error {
		if isNull(raw) {
			*to = nil
			return nil
		}
		m, err := metadata(raw)
		if err != nil {
			return err
		}
		*to = m
		return nil
	}
}

// metadata reads a JSON object, numbers kept as they were written.
func metadata(raw json.RawMessage) (map[string]any, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("must be an object")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var m map[string]any
	if err := decoder.Decode(&m); err != nil {
		return nil, errors.New("must be an object")
	}
	return m, nil
}
