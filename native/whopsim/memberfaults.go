package main

import (
	"encoding/json"
	"strings"
)

// The faults that change single members of a success, and what a write stores.

func wrongTypes(op operation, _ *membership, fields map[string]any) {
	for name, value := range map[string]any{
		"id": 7, "license_key": []int{1}, "status": map[string]any{}, "metadata": "HWID", "product": true, "product_id": true,
		"created_at": []string{}, "expires_at": map[string]any{}, "cancel_at_period_end": "no",
	} {
		if _, ok := fields[name]; ok {
			fields[name] = value
		}
	}
}

// oddMembers gives unusual types and forms to members that decide nothing.
func oddMembers(_ operation, _ *membership, fields map[string]any) {
	for name, value := range map[string]any{
		"manage_url": map[string]any{"href": "https://whop.com/"}, "quantity": "1",
		"created_at": "2026-01-31T12:00:00", "joined_at": "", "expires_at": false,
		"plan": []any{}, "plan_id": []any{}, "variant_id": []any{}, "phone_number": 15550100,
		"user": []any{}, "user_id": 7, "company": "", "account": json.RawMessage(`{"title":"\ud800"}`), "member": 1.5,
		"unheard_of": json.RawMessage(`[{"a":[null]},"\udc00"]`),
	} {
		if _, ok := fields[name]; ok || name == "quantity" || name == "expires_at" || name == "unheard_of" {
			fields[name] = value
		}
	}
}

// repeatMember adds an unknown member twice.
func repeatMember(_ operation, good []byte) []byte {
	return append([]byte(`{"unheard_of":1,"unheard_of":{"a":2},`), good[1:]...)
}

// bareIDs replaces each object that has an id with the bare id.
func bareIDs(_ operation, _ *membership, fields map[string]any) {
	for name, value := range fields {
		if object, ok := value.(map[string]any); ok && name != "metadata" && object["id"] != nil {
			fields[name] = object["id"]
		}
	}
}

// objects replaces each bare id with an object that contains it.
func objects(_ operation, _ *membership, fields map[string]any) {
	for _, name := range []string{"product", "plan", "variant", "user"} {
		if id, ok := fields[name+"_id"]; ok {
			delete(fields, name+"_id")
			fields[name] = map[string]any{"id": id, "title": "T"}
		}
	}
}

func lowerNames(metadata map[string]any) map[string]any {
	next := map[string]any{}
	for name, value := range metadata {
		next[strings.ToLower(name)] = value
	}
	return next
}

func trimValues(metadata map[string]any) map[string]any {
	return mapValues(metadata, func(value any) any {
		if s, ok := value.(string); ok {
			return strings.TrimSpace(s)
		}
		return value
	})
}

// textValues stores values other than strings as text.
func textValues(metadata map[string]any) map[string]any {
	return mapValues(metadata, func(value any) any {
		if s, ok := value.(string); ok {
			return s
		}
		return string(encode(value))
	})
}

func mapValues(metadata map[string]any, change func(any) any) map[string]any {
	next := map[string]any{}
	for name, value := range metadata {
		next[name] = change(value)
	}
	return next
}
