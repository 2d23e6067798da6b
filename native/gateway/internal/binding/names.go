package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// namesDiffer reports whether a mismatch comes from the names alone: no name
// that was sent is stored with another value, and either other names stand in
// the way of it or not all are stored.
func (r bindingRules) namesDiffer(stored, sent metadata) bool {
	foreign := r.foreign(stored, sent)
	if len(foreign) > 0 {
		seller := maps.Clone(r.sellerNames)
		if seller == nil {
			seller = map[string]bool{}
		}
		for _, name := range foreign {
			seller[name] = true
		}
		m, _ := bindingRules{r.maxMachines, seller}.compare(stored, sent)
		return m != differs
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

// foreign lists the stored names that hold something and belong neither to the
// seller nor to a machine that sends these names.
func (r bindingRules) foreign(stored, sent metadata) (names []string) {
	ours := r.ours(sent)
	for name, v := range stored {
		if !ours[name] && !r.sellerNames[name] && !v.empty() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// ours is the set of names under which machines that send these names store
// them.
func (r bindingRules) ours(sent metadata) map[string]bool {
	names := make(map[string]bool, len(sent)*r.maxMachines)
	for name := range sent {
		for slot := 1; slot <= r.maxMachines; slot++ {
			names[slotName(name, slot)] = true
		}
	}
	return names
}

// alterations says, by name, how what was written for a machine is stored in
// another form. It is empty where it is stored as written, or where something
// else is stored.
func (r bindingRules) alterations(stored, whole, sent metadata) (list []string) {
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

func alteration(stored metadata, name string, v value) string {
	shown := fit(name, maxNameShown)
	if held, ok := stored[name]; ok {
		switch {
		case !held.resembles(v):
			return ""
		case held.string != v.string:
			return fmt.Sprintf("%s: a %s became a %s", shown, v.kind(), held.kind())
		default:
			return shown + ": its " + v.kind() + " was changed"
		}
	}
	for _, other := range slices.Sorted(maps.Keys(stored)) {
		if strings.EqualFold(strings.TrimSpace(other), strings.TrimSpace(name)) && stored[other].resembles(v) {
			return fmt.Sprintf("%s: the name became %s", shown, fit(other, maxNameShown))
		}
	}
	return ""
}

func (v value) kind() string {
	switch {
	case v.string:
		return "string"
	case v.text == "true" || v.text == "false":
		return "boolean"
	case v.text == "null":
		return "null"
	case v.text[0] == '{' || v.text[0] == '[':
		return "structure"
	default:
		return "number"
	}
}

// longEnough is how much of a value must be left of it, so that it is known
// again where it was cut.
const longEnough = 16

// resembles reports whether v can be what became of a value that was written:
// in another type, without white space, in another case, or cut.
func (v value) resembles(written value) bool {
	plain := func(v value) string { return strings.ToLower(strings.TrimSpace(v.text)) }
	is, was := plain(v), plain(written)
	if is == was || len(is) >= longEnough && strings.HasPrefix(was, is) {
		return true
	}
	a, err := strconv.ParseFloat(is, 64)
	b, err2 := strconv.ParseFloat(was, 64)
	return err == nil && err2 == nil && a == b
}
