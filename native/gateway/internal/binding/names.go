package binding

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/logtext"
)

// NamesDiffer reports whether a mismatch is due to the names alone: no sent
// name is stored with another value, and either other stored names are in the
// way, or some of the sent names are not stored.
func (r Rules) NamesDiffer(stored, sent Metadata) bool {
	foreign := r.foreign(stored, sent)
	if len(foreign) > 0 {
		seller := maps.Clone(r.SellerNames)
		if seller == nil {
			seller = map[string]bool{}
		}
		for _, name := range foreign {
			seller[name] = true
		}
		m, _ := Rules{r.MaxMachines, seller}.Compare(stored, sent)
		return m != Differs
	}
	common := 0
	for name, v := range sent {
		if held, ok := stored[name]; ok && !held.empty() {
			if held != v {
				return false
			}
			common++
		}
	}
	return common > 0 && common < len(sent)
}

// foreign lists the stored names with a value that belong neither to the seller
// nor to a machine that sends these names.
func (r Rules) foreign(stored, sent Metadata) (names []string) {
	ours := r.ours(sent)
	for name, v := range stored {
		if !ours[name] && !r.SellerNames[name] && !v.empty() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ours returns the set of names under which a machine that sends these names
// can be stored, in any of the places.
func (r Rules) ours(sent Metadata) map[string]bool {
	names := make(map[string]bool, len(sent)*r.MaxMachines)
	for name := range sent {
		for place := 1; place <= r.MaxMachines; place++ {
			names[placeName(name, place)] = true
		}
	}
	return names
}

// Alterations lists how Whop changed what was written for a machine, one line
// for each name, safe for a log. The list is empty if Whop stored it as
// written, or stores something else.
func (r Rules) Alterations(stored, whole, sent Metadata) (list []string) {
	ours := r.ours(sent)
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		if !ours[name] || stored[name] == whole[name] && !stored[name].empty() {
			continue
		}
		how := alteration(stored, name, whole[name])
		if how == "" {
			return nil
		}
		list = append(list, how)
	}
	return list
}

func alteration(stored Metadata, name string, v Value) string {
	shown := logtext.Fit(name, logtext.MaxName)
	if held, ok := stored[name]; ok {
		switch {
		case !held.resembles(v):
			return ""
		case held.IsString != v.IsString:
			return fmt.Sprintf("%s: a %s became a %s", shown, v.kind(), held.kind())
		default:
			return shown + ": its " + v.kind() + " was changed"
		}
	}
	for _, other := range slices.Sorted(maps.Keys(stored)) {
		if strings.EqualFold(strings.TrimSpace(other), strings.TrimSpace(name)) && stored[other].resembles(v) {
			return fmt.Sprintf("%s: the name became %s", shown, logtext.Fit(other, logtext.MaxName))
		}
	}
	return ""
}

func (v Value) kind() string {
	switch {
	case v.IsString:
		return "string"
	case v.Text == "true" || v.Text == "false":
		return "boolean"
	case v.Text == "null":
		return "null"
	case v.Text[0] == '{' || v.Text[0] == '[':
		return "structure"
	default:
		return "number"
	}
}

// longEnough is how many bytes of a value must be left if Whop truncated it, so
// that it still counts as the same value.
const longEnough = 16

// resembles reports whether v can be an altered form of a value that was
// written: in another type, without white space, in another case, or truncated.
func (v Value) resembles(written Value) bool {
	plain := func(v Value) string { return strings.ToLower(strings.TrimSpace(v.Text)) }
	is, was := plain(v), plain(written)
	if is == was || len(is) >= longEnough && strings.HasPrefix(was, is) {
		return true
	}
	a, err := strconv.ParseFloat(is, 64)
	b, err2 := strconv.ParseFloat(was, 64)
	return err == nil && err2 == nil && a == b
}
