package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/license"
)

// value is one metadata value. Apps send strings; some send a number (a network
// card's address, say), and sellers may store anything, so whatever is not a
// string is kept as the JSON it came as.
type value struct {
	text   string // the string, or the JSON of anything else
	string bool
}

// metadata is the object that binds a license to machines.
type metadata map[string]value

func (v *value) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		v.string = true
		return json.UnmarshalDecode(dec, &v.text)
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	raw = raw.Clone()
	err = raw.Compact()
	v.text = string(raw)
	return err
}

func (v value) MarshalJSONTo(enc *jsontext.Encoder) error {
	if v.string {
		return enc.WriteToken(jsontext.String(v.text))
	}
	return enc.WriteValue(jsontext.Value(v.text))
}

// sendable reports whether an app may send v: a string, a boolean, or a whole
// number that no JSON library rounds. Other numbers might come back from Whop in
// another form and then never match.
func (v value) sendable() bool {
	if v.string || v.text == "true" || v.text == "false" {
		return true
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	return err == nil && n >= -1<<53 && n <= 1<<53 && strconv.FormatInt(n, 10) == v.text
}

// empty reports whether v holds nothing, and so no machine: null or "".
func (v value) empty() bool { return v.text == "" || v.text == "null" && !v.string }

// canonical returns the same bytes for the same metadata.
func (m metadata) canonical() []byte {
	b, err := json.Marshal(m, json.Deterministic(true))
	if err != nil {
		panic("metadata that was read can be written: " + err.Error())
	}
	return b
}

// slotName returns the name under which the machine in the given slot, from 1,
// stores what it sends as name: HWID, HWID_2, HWID_3, …
func slotName(name string, slot int) string {
	if slot == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(slot)
}

// bindingRules says what of a membership's metadata binds it to machines.
type bindingRules struct {
	maxMachines int
	sellerNames map[string]bool // the seller's own metadata, which binds nothing
}

// check refuses metadata that an app may not send.
func (r bindingRules) check(sent metadata) error {
	texts := make(map[string]string, len(sent))
	for name, v := range sent {
		if !v.sendable() {
			return errors.New("metadata: a value is not a string, a boolean, or a whole number of at most 53 bits")
		}
		if utf8.RuneCountInString(slotName(name, r.maxMachines)) > license.MaxMetadataKeyLength {
			return errors.New("metadata: a name is too long")
		}
		texts[name] = v.text
		for slot := 1; slot <= r.maxMachines; slot++ {
			place := slotName(name, slot)
			if r.sellerNames[place] {
				return errors.New("metadata: a name is reserved for the seller")
			}
			if _, sentToo := sent[place]; sentToo && slot > 1 {
				return fmt.Errorf("metadata: a name and the same name with _%d can't be sent together", slot)
			}
		}
	}
	if err := license.CheckMetadata(texts); err != nil {
		_, problem, _ := strings.Cut(err.Error(), ": ")
		return errors.New("metadata: " + problem)
	}
	return nil
}

// match is how sent metadata stands to what is stored.
type match int

const (
	matches match = iota // stored for one of the machines, or nothing was sent
	differs              // the license is taken by other machines
	free                 // there is room for one more machine
)

// compare decides whether a machine that sent metadata may use a membership
// that stores metadata, as v2 did: value by value, and only nothing stored is
// room for something new. With room it also returns the whole metadata to store.
//
// Nothing sent names no machine, so it matches and binds nothing.
func (r bindingRules) compare(stored, sent metadata) (match, metadata) {
	for slot := 1; slot <= r.maxMachines; slot++ {
		if slotHolds(stored, sent, slot) {
			return matches, nil
		}
	}
	// A stored name that no slot of this app could have is a binding by other
	// means. Taking it for the seller's own would let anyone who chooses other
	// names bind a license again.
	if len(r.foreign(stored, sent)) > 0 {
		return differs, nil
	}
	for slot := 1; slot <= r.maxMachines; slot++ {
		if slotEmpty(stored, sent, slot) {
			whole := make(metadata, len(stored)+len(sent))
			for name, v := range stored {
				if v.text != "null" || v.string {
					whole[name] = v
				}
			}
			for name, v := range sent {
				whole[slotName(name, slot)] = v
			}
			if len(whole) > license.MaxMetadataKeys {
				return differs, nil
			}
			return free, whole
		}
	}
	return differs, nil
}

func slotHolds(stored, sent metadata, slot int) bool {
	for name, v := range sent {
		if held, ok := stored[slotName(name, slot)]; !ok || held != v {
			return false
		}
	}
	return true
}

func slotEmpty(stored, sent metadata, slot int) bool {
	for name := range sent {
		if v, taken := stored[slotName(name, slot)]; taken && !v.empty() {
			return false
		}
	}
	return true
}
