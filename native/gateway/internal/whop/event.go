package whop

import (
	"errors"
	"strings"
)

// ReadEvent reads the body of a webhook in any of Whop's shapes: its type, and
// the ids of the memberships that it is about. In doubt it returns several,
// because an unnecessary look-up does no harm. An event of another kind is
// about none.
func ReadEvent(body []byte) (kind string, memberships []string, err error) {
	w, err := readMembers(body, "type", "action", "event", "data")
	if err != nil {
		return "", nil, errors.New("the body is not an event as a JSON object")
	}
	for _, name := range []string{"type", "action", "event"} { // the name of type in older versions
		if !w[name].given() || kind != "" {
			continue
		}
		text, ok := readText(w[name].raw)
		if !ok || w[name].twice {
			return "", nil, errors.New("the event's type is not a string")
		}
		kind = text
	}
	if !strings.HasPrefix(kind, "membership.") && !strings.HasPrefix(kind, "membership_") {
		return kind, nil, nil
	}
	memberships = membershipsOf(w["data"])
	if len(memberships) == 0 {
		return kind, nil, errors.New("the event names no membership")
	}
	return kind, memberships, nil
}

// membershipsOf returns the ids of the memberships that an event's data is or
// refers to.
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
