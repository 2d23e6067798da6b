package binding

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Place is what is stored for one machine, under the names that the app sends.
type Place struct {
	Number  int // from 1
	Machine Metadata
}

// maxPlaces is how many machines a seller can allow at most.
const maxPlaces = 25

// splitName is the inverse of [placeName]. If an app's own name ends in _2, it
// looks like a name of the second place, because only the name distinguishes
// them.
func splitName(stored string) (name string, place int) {
	if i := strings.LastIndexByte(stored, '_'); i > 0 {
		if n, err := strconv.Atoi(stored[i+1:]); err == nil && n >= 2 && n <= maxPlaces && stored[i+1:] == strconv.Itoa(n) {
			return stored[:i], n
		}
	}
	return stored, 1
}

// Places lists the places of a license that are taken, in order, also those
// beyond MaxMachines.
func (r Rules) Places(stored Metadata) []Place {
	machines := map[int]Metadata{}
	for name, v := range stored {
		if r.SellerNames[name] || v.empty() {
			continue
		}
		name, place := splitName(name)
		if machines[place] == nil {
			machines[place] = Metadata{}
		}
		machines[place][name] = v
	}
	list := make([]Place, 0, len(machines))
	for _, number := range slices.Sorted(maps.Keys(machines)) {
		list = append(list, Place{number, machines[number]})
	}
	return list
}

// Another returns what a machine that is not stored would send: the stored
// names, each with the given value.
func (r Rules) Another(stored Metadata, value string) Metadata {
	sent := Metadata{}
	for _, place := range r.Places(stored) {
		for name := range place.Machine {
			sent[name] = Value{Text: value, IsString: true}
		}
	}
	if len(sent) == 0 {
		sent["HWID"] = Value{Text: value, IsString: true}
	}
	return sent
}

// PlaceOf returns the number of the place that holds a machine, or 0.
func (r Rules) PlaceOf(stored, sent Metadata) int {
	for place := 1; place <= r.MaxMachines && len(sent) > 0; place++ {
		if placeHolds(stored, sent, place) {
			return place
		}
	}
	return 0
}

// AllPlaces stands for every place of a license.
const AllPlaces = 0

// Freed returns the whole metadata to store so that a place, or [AllPlaces], is
// free. The names of the place get the given value, null or "": if they were
// left out and Whop merges metadata, they would stay. If nothing else is
// stored, Freed returns {}, which clears all.
func (r Rules) Freed(stored Metadata, place int, nothing Value) Metadata {
	whole, kept := Metadata{}, 0
	for name, v := range stored {
		_, number := splitName(name)
		switch {
		case v.empty():
		case !r.SellerNames[name] && (place == AllPlaces || number == place):
			whole[name] = nothing
		default:
			whole[name] = v
			kept++
		}
	}
	if kept == 0 && !nothing.IsString {
		return Metadata{}
	}
	return whole
}

// The values that mean that nothing is stored.
var (
	Null      = Value{Text: "null"}
	EmptyText = Value{IsString: true}
)

// Shortened returns the metadata with each value shortened, so that it can be
// shown.
func (m Metadata) Shortened(shorten func(string) string) map[string]string {
	short := make(map[string]string, len(m))
	for name, v := range m {
		short[name] = shorten(v.Text)
	}
	return short
}
