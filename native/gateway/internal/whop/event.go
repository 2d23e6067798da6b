package main

import (
	"errors"
	"strings"
)

// event is what a webhook of Whop's says.
type event struct {
	kind        string
	memberships []string // ids; news of another kind names none
}

// readEvent reads a webhook's body in any of Whop's shapes. All memberships that
// it could be about are returned: looking one up once too often does no harm.
func readEvent(body []byte) (e event, err error) {
	w, err := readMembers(body, "type", "action", "event", "data")
	if err != nil {
		return e, errors.New("the body is not an event in JSON")
	}
	for _, name := range []string{"type", "action", "event"} { // the name of type in older versions
		if !w[name].given() || e.kind != "" {
			continue
		}
		text, ok := readText(w[name].raw)
		if !ok || w[name].twice {
			return e, errors.New("the event's type is not a text")
		}
		e.kind = text
	}
	if !strings.HasPrefix(e.kind, "membership.") && !strings.HasPrefix(e.kind, "membership_") {
		return e, nil
	}
	e.memberships = membershipsOf(w["data"])
	if len(e.memberships) == 0 {
		return e, errors.New("the event names no membership")
	}
	return e, nil
}

// membershipsOf returns the ids of the memberships that an event's data is, or
// names.
func membershipsOf(data member) (ids []string) {
	add := func(m member) {
		if id, ok := readReference(m); ok && isMembershipID(id) {
			ids = append(ids, id)
		}
	}
	add(data)
	if data.raw.Kind() != '{' || data.twice {
		return ids
	}
	object, err := readMembers(data.raw, "membership", "membership_id")
	if err != nil {
		return ids
	}
	add(object["membership"])
	add(object["membership_id"])
	return ids
}
