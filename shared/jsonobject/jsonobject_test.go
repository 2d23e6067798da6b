package jsonobject_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/jsonobject"
)

func read(text string, options ...jsontext.Options) (map[string]string, error) {
	members := map[string]string{}
	err := jsonobject.Read([]byte(text), func(d *jsontext.Decoder, name string) error {
		value, err := d.ReadValue()
		members[name] = string(value)
		return err
	}, options...)
	return members, err
}

func TestRead(t *testing.T) {
	for text, want := range map[string]map[string]string{
		`{}`:                              {},
		" \t\r\n{ } ":                     {},
		`{"a":1,"b":{"a":[null]}}`:        {"a": "1", "b": `{"a":[null]}`},
		`{"":"","\u0061":"\ud83d"}`:       nil,
		`{"":"","\u0061":"\ud83d\ude00"}`: {"": `""`, "a": `"\ud83d\ude00"`},
	} {
		members, err := read(text)
		if want == nil {
			assert.ErrorIs(t, err, jsonobject.ErrNotJSON, text)
			continue
		}
		require.NoError(t, err, text)
		assert.Equal(t, want, members, text)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]error{
		``:                    jsonobject.ErrNotObject,
		`null`:                jsonobject.ErrNotObject,
		`[{}]`:                jsonobject.ErrNotObject,
		"\ufeff{}":            jsonobject.ErrNotObject,
		`{`:                   jsonobject.ErrNotJSON,
		`{"a"`:                jsonobject.ErrNotJSON,
		`{"a":`:               jsonobject.ErrNotJSON,
		`{"a":1`:              jsonobject.ErrNotJSON,
		`{"a":1,}`:            jsonobject.ErrNotJSON,
		`{1:1}`:               jsonobject.ErrNotJSON,
		`{"a":1,"a":1}`:       jsonobject.ErrNotJSON,
		`{"a":1,"\u0061":1}`:  jsonobject.ErrNotJSON,
		`{"a":{"b":1,"b":1}}`: jsonobject.ErrNotJSON,
		"{\"a\":\"\xff\"}":    jsonobject.ErrNotJSON,
		`{}{}`:                jsonobject.ErrTrailing,
		`{} x`:                jsonobject.ErrTrailing,
	} {
		_, err := read(text)
		assert.ErrorIs(t, err, want, text)
		assert.Equal(t, want, err, "the error quotes nothing")
	}
}

func TestReadReturnsTheErrorOfAMember(t *testing.T) {
	own := errors.New("of the member")
	err := jsonobject.Read([]byte(`{"a":1}`), func(*jsontext.Decoder, string) error { return own })
	assert.Equal(t, own, err)
}

func TestReadWithOptions(t *testing.T) {
	members, err := read(`{"a":1,"a":2}`, jsontext.AllowDuplicateNames(true))
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a": "2"}, members)
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{`{"a":1}`, `{"a":{"a":[]}}`, `{"a":1,"a":1}`, `{}{}`, "{\"\xff\":1}", ``} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		members, err := read(text)
		if err != nil {
			return
		}
		// Whatever is read here, encoding/json reads the same way.
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.Len(t, members, len(want))
		for name, value := range want {
			require.Equal(t, string(value), members[name])
		}
	})
}
