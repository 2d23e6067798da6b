package binding

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whop-license/whop-license/shared/license"
)

// placeName returns the name under which the machine in the given place, from 1,
// stores what it sends as name: HWID, HWID_2, HWID_3, …
func placeName(name string, place int) string {
	if place == 1 {
		return name
	}
	return name + "_" + strconv.Itoa(place)
}

// Rules say which of a membership's metadata binds it to machines.
type Rules struct {
	MaxMachines int             // how many machines may use one license, from 1
	SellerNames map[string]bool // the seller's own metadata, which binds nothing
}

// Check returns what is wrong with metadata that an app sent, or nil. The message
// is meant for whoever wrote the app, and quotes no value.
func (r Rules) Check(sent Metadata) error {
	texts := make(map[string]string, len(sent))
	for name, v := range sent {
		if !v.sendable() {
			return errors.New("metadata: a value is not a string, a boolean, or a whole number of at most 53 bits")
		}
		if utf8.RuneCountInString(placeName(name, r.MaxMachines)) > license.MaxMetadataKeyLength {
			return errors.New("metadata: a name is too long")
		}
		texts[name] = v.Text
		for place := 1; place <= r.MaxMachines; place++ {
			stored := placeName(name, place)
			if r.SellerNames[stored] {
				return errors.New("metadata: a name is reserved for the seller")
			}
			if _, sentToo := sent[stored]; sentToo && place > 1 {
				return fmt.Errorf("metadata: a name and the same name with _%d can't be sent together", place)
			}
		}
	}
	var invalid *license.Error
	if err := license.CheckMetadata(texts); errors.As(err, &invalid) {
		return errors.New("metadata: " + strings.TrimPrefix(invalid.Message, invalid.Argument+": "))
	}
	return nil
}

// Match is how the metadata that an app sent relates to what is stored.
type Match int

// The ways in which sent and stored metadata can relate.
const (
	Matches Match = iota // it is stored for one of the machines, or nothing was sent
	Differs              // other machines have all of the license's places
	Free                 // there is room for one more machine
)

// Compare decides whether a machine that sent metadata may use a membership
// with stored metadata. It compares as Whop's API v2 did: value by value, and a
// place is free only if nothing is stored for it. If a place is free, Compare
// also returns the whole metadata to store. Empty metadata identifies no
// machine, so it matches and binds nothing.
func (r Rules) Compare(stored, sent Metadata) (Match, Metadata) {
	for place := 1; place <= r.MaxMachines; place++ {
		if placeHolds(stored, sent, place) {
			return Matches, nil
		}
	}
	// A stored name that belongs to no place of this app was bound under other
	// names. If it counted as the seller's own, anyone could bind the license again
	// by choosing other names.
	if len(r.foreign(stored, sent)) > 0 {
		return Differs, nil
	}
	for place := 1; place <= r.MaxMachines; place++ {
		if placeEmpty(stored, sent, place) {
			whole := make(Metadata, len(stored)+len(sent))
			for name, v := range stored {
				if v.Text != "null" || v.IsString {
					whole[name] = v
				}
			}
			for name, v := range sent {
				whole[placeName(name, place)] = v
			}
			if len(whole) > license.MaxMetadataKeys {
				return Differs, nil
			}
			return Free, whole
		}
	}
	return Differs, nil
}

func placeHolds(stored, sent Metadata, place int) bool {
	for name, v := range sent {
		if held, ok := stored[placeName(name, place)]; !ok || held != v {
			return false
		}
	}
	return true
}

func placeEmpty(stored, sent Metadata, place int) bool {
	for name := range sent {
		if v, taken := stored[placeName(name, place)]; taken && !v.empty() {
			return false
		}
	}
	return true
}
