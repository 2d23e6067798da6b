// Package binding decides which stored metadata is which machine. It is pure:
// it does no I/O and keeps no state.
package binding

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Value is one metadata value. Apps send strings; some send a number (a network
// card's address, say), and sellers may store anything, so whatever is not a
// string is kept as the JSON it came as.
type Value struct {
	Text     string // the string, or the JSON of anything else
	IsString bool
}

// Metadata is the object that binds a license to machines, by name.
type Metadata map[string]Value

// UnmarshalJSONFrom reads any JSON value.
func (v *Value) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		v.IsString = true
		return json.UnmarshalDecode(dec, &v.Text)
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	raw = raw.Clone()
	err = raw.Compact()
	v.Text = string(raw)
	return err
}

// MarshalJSONTo writes the value as it was read.
func (v Value) MarshalJSONTo(enc *jsontext.Encoder) error {
	if v.IsString {
		return enc.WriteToken(jsontext.String(v.Text))
	}
	return enc.WriteValue(jsontext.Value(v.Text))
}

// sendable reports whether an app may send v: a string, a boolean, or a whole
// number that no JSON library rounds. Other numbers might come back from Whop in
// another form and then never match.
func (v Value) sendable() bool {
	if v.IsString || v.Text == "true" || v.Text == "false" {
		return true
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return err == nil && n >= -1<<53 && n <= 1<<53 && strconv.FormatInt(n, 10) == v.Text
}

// empty reports whether v holds nothing, and so no machine: null or "".
func (v Value) empty() bool { return v.Text == "" || v.Text == "null" && !v.IsString }

// Canonical returns the metadata in JSON, with the same bytes for the same
// metadata.
func (m Metadata) Canonical() []byte {
	b, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		panic("metadata that was read can be written: " + err.Error())
	}
	return b
}
