package main

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

const (
	// maxHold bounds every wait that a fault or the latency imposes.
	maxHold = time.Minute
	// hugeBytes is far over any limit that a client should have on a body.
	hugeBytes = 1 << 20
)

// A fault is one way to misbehave. Most set one of its functions.
type fault struct {
	// on lists the operations it concerns; none means all.
	on []operation
	// instead answers without any effect on the membership.
	instead func(c *exchange, m *membership) answer
	// when reports whether the fault concerns an operation that was carried out; nil
	// means that it concerns all that succeeded.
	when func(r result) bool
	// then changes the membership after the operation.
	then func(m *membership)
	// later puts off what was written, until the fault's delay has passed.
	later bool
	// alter changes what a write stores and answers.
	alter func(metadata map[string]any) map[string]any
	// edit changes the members of a success.
	edit func(op operation, m *membership, fields map[string]any)
	// raw changes the bytes of a success.
	raw func(op operation, good []byte) []byte
	// send replaces the ordinary way of writing an answer.
	send func(c *exchange, a answer, delay time.Duration)
	// status replaces that of a success.
	status int
	// page answers status with a proxy's HTML page.
	page bool
}

func faultNames() []string { return slices.Sorted(maps.Keys(faults)) }

var (
	onV2    = []operation{opValidate}
	onV1    = []operation{opGet, opPatch}
	onPatch = []operation{opPatch}
	onWrite = []operation{opValidate, opPatch}
)

// faults is the complete list, read-only. README.md describes each.
var faults = map[string]fault{
	// No answer, or a part of one.
	"timeout":      {instead: nothing, send: hold},
	"reset":        {instead: nothing, send: reset},
	"close":        {instead: nothing, send: hangUp},
	"truncated":    {send: truncate},
	"stalled-body": {send: stall},
	"slow":         {send: late},
	"slow-body":    {send: drip},

	// Other statuses.
	"200":            {status: http.StatusOK},
	"202":            {status: http.StatusAccepted},
	"204":            {instead: func(*exchange, *membership) answer { return answer{status: http.StatusNoContent} }},
	"304":            {instead: func(*exchange, *membership) answer { return answer{status: http.StatusNotModified} }},
	"400":            errorFault(http.StatusBadRequest, "Bad request"),
	"400-id":         errorFault(http.StatusBadRequest, "The membership's id is malformed"),
	"401":            errorFault(http.StatusUnauthorized, "The API key is not valid"),
	"403":            errorFault(http.StatusForbidden, "The API key lacks a permission"),
	"403-ip":         errorFault(http.StatusForbidden, "This API key is not allowed from this IP"),
	"403-membership": errorFault(http.StatusForbidden, "The API key has no access to this membership"),
	"404":            {instead: func(c *exchange, _ *membership) answer { return notFound(c) }},
	"404-route":      {instead: func(c *exchange, _ *membership) answer { return unknownRoute(c) }},
	"408":            errorFault(http.StatusRequestTimeout, "Request timeout"),
	"418":            errorFault(http.StatusTeapot, "I'm a teapot"),
	"422":            errorFault(http.StatusUnprocessableEntity, "Metadata can't be processed"),
	"429":            {instead: limited},
	"500":            errorFault(http.StatusInternalServerError, "Internal server error"),
	"502":            page(http.StatusBadGateway),
	"503":            {instead: unavailable},
	"504":            page(http.StatusGatewayTimeout),
	"random-500":     errorFault(http.StatusInternalServerError, "Internal server error, at random"),

	// Bodies that are not a membership.
	"garbage":   body("application/json", "\x00\x9f\x92\x96 not JSON"),
	"html":      page(http.StatusOK),
	"html-403":  page(http.StatusForbidden),
	"html-404":  page(http.StatusNotFound),
	"html-500":  page(http.StatusInternalServerError),
	"html-503":  page(http.StatusServiceUnavailable),
	"empty":     body("application/json", ""),
	"array":     {raw: func(_ operation, good []byte) []byte { return slices.Concat([]byte("["), good, []byte("]")) }},
	"null":      body("application/json", "null"),
	"empty-404": {instead: func(*exchange, *membership) answer { return answer{status: http.StatusNotFound} }},

	// Bodies that are nearly one.
	"huge":             {raw: pad},
	"duplicate-names":  {raw: duplicateNames},
	"trailing-data":    {raw: func(_ operation, good []byte) []byte { return slices.Concat(good, good) }},
	"invalid-utf8":     {raw: breakUTF8},
	"wrong-types":      {edit: wrongTypes},
	"valid-missing":    {on: onV2, edit: without("valid")},
	"valid-false":      {on: onV2, edit: member("valid", false)},
	"valid-null":       {on: onV2, edit: member("valid", nil)},
	"valid-number":     {on: onV2, edit: member("valid", 1)},
	"valid-string":     {on: onV2, edit: member("valid", "true")},
	"status-missing":   {on: onV1, edit: without("status")},
	"status-unknown":   {edit: member("status", "hibernating")},
	"key-null":         {on: onV1, edit: member("license_key", nil)},
	"metadata-missing": {on: onV1, edit: without("metadata")},
	"odd-members":      {on: onV1, edit: oddMembers},
	"repeated-member":  {on: onV1, raw: repeatMember},
	"bare-ids":         {on: onV1, edit: bareIDs},
	"objects":          {on: onV1, edit: objects},
	"key-other":        {edit: member("license_key", "SOMEBODY-ELSES-KEY")},

	// Elsewhere.
	"redirect":     {instead: redirect(http.StatusFound)},
	"redirect-307": {instead: redirect(http.StatusTemporaryRedirect)},

	// Writes and reads that don't do what they say.
	"lost-write":     {on: onWrite, when: wrote, send: reset},
	"lost-write-500": {on: onWrite, when: wrote, status: http.StatusInternalServerError, raw: internalError},
	"failed-write":   {on: onPatch, instead: errorFault(http.StatusInternalServerError, "Internal server error, nothing was written").instead},
	"ignored-write":  {on: onPatch, when: wrote, then: func(m *membership) { m.metadata = m.previous }},
	"unapplied-write": {on: onPatch, when: wrote, then: func(m *membership) { m.metadata = m.previous },
		edit: func(_ operation, m *membership, f map[string]any) { f["metadata"] = m.previous }},
	"lowered-names":       {on: onPatch, when: wrote, alter: lowerNames},
	"text-values":         {on: onPatch, when: wrote, alter: textValues},
	"trimmed-values":      {on: onPatch, when: wrote, alter: trimValues},
	"late-write-html-500": {on: onPatch, when: wrote, later: true, status: http.StatusInternalServerError, page: true},
	"late-write-html-503": {on: onPatch, when: wrote, later: true, status: http.StatusServiceUnavailable, page: true},
	"late-write":          {on: onPatch, when: wrote, later: true, send: hold},
	"late-write-504":      {on: onPatch, when: wrote, later: true, status: http.StatusGatewayTimeout, raw: internalError},
	"overwritten":         {on: onPatch, when: wrote, then: func(m *membership) { m.metadata = map[string]any{"HWID": "another-machine"} }},
	"stale-read": {on: []operation{opGet}, when: func(r result) bool { return r.membership.written },
		edit: func(_ operation, m *membership, f map[string]any) { f["metadata"] = m.previous }},
}

// concerns reports whether the fault concerns op, of those to which a membership
// limits it.
func (f fault) concerns(op operation, only []operation) bool {
	return (len(f.on) == 0 || slices.Contains(f.on, op)) && (len(only) == 0 || slices.Contains(only, op))
}

func errorFault(status int, message string) fault {
	return fault{instead: func(c *exchange, _ *membership) answer {
		return apiError(c.op, status, "simulated_fault", message)
	}}
}

func page(status int) fault {
	return fault{instead: func(*exchange, *membership) answer { return htmlPage(status) }}
}

// htmlPage is what a proxy or a firewall would send.
func htmlPage(status int) answer {
	return answer{status: status, contentType: "text/html; charset=utf-8",
		body: fmt.Appendf(nil, "<!doctype html><title>%d</title><h1>%[1]d %s</h1>\n", status, http.StatusText(status))}
}

func body(contentType, content string) fault {
	return fault{instead: func(c *exchange, _ *membership) answer {
		return answer{status: c.op.success(), contentType: contentType, body: []byte(content)}
	}}
}

func nothing(*exchange, *membership) answer { return answer{} }

func limited(c *exchange, m *membership) answer {
	a := answer{status: http.StatusTooManyRequests, retryAfter: m.faultRetryAfter}
	a.body = errorBody(c.op, a.status, "rate_limit_exceeded", "Try again in 12 seconds.")
	if c.op == opValidate {
		a.body = []byte(`{"message":"You are being rate limited"}`)
	}
	return a
}

func unavailable(c *exchange, m *membership) answer {
	a := apiError(c.op, http.StatusServiceUnavailable, "unavailable", "Service unavailable")
	a.retryAfter = m.faultRetryAfter
	return a
}

// redirect points to a URL whose answer says that the license is valid.
func redirect(status int) func(*exchange, *membership) answer {
	return func(c *exchange, m *membership) answer {
		return answer{status: status, location: "/api/redirected/" + string(c.op) + "/" + m.id}
	}
}

// duplicateNames puts a contradicting member before each one that matters.
func duplicateNames(_ operation, good []byte) []byte {
	return append([]byte(`{"valid":false,"status":"expired","metadata":{},`), good[1:]...)
}

func pad(_ operation, good []byte) []byte {
	return slices.Concat(good[:len(good)-1], []byte(`,"padding":"`), bytes.Repeat([]byte("x"), hugeBytes), []byte(`"}`))
}

func breakUTF8(_ operation, good []byte) []byte {
	return bytes.Replace(good, []byte(`"id":"`), []byte("\"id\":\"\xff"), 1)
}

func internalError(op operation, _ []byte) []byte {
	return errorBody(op, http.StatusInternalServerError, "internal_error", "Internal server error")
}

func wrote(r result) bool { return r.wrote }

func member(name string, value any) func(operation, *membership, map[string]any) {
	return func(_ operation, _ *membership, fields map[string]any) { fields[name] = value }
}

func without(name string) func(operation, *membership, map[string]any) {
	return func(_ operation, _ *membership, fields map[string]any) { delete(fields, name) }
}

// The ways to send an answer. An aborted handler makes net/http close the
// connection without completing the answer.

func abort() { panic(http.ErrAbortHandler) }

func hold(c *exchange, _ answer, _ time.Duration) {
	c.wait(maxHold)
	abort()
}

func hangUp(*exchange, answer, time.Duration) { abort() }

// reset makes the connection end with RST, not FIN.
func reset(c *exchange, _ answer, _ time.Duration) {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		abort()
	}
	c.w.cut = true
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func late(c *exchange, a answer, delay time.Duration) {
	if !c.wait(delay) {
		abort()
	}
	c.write(a)
}

// begin sends the head with the full length, and the first half of the body.
func begin(c *exchange, a answer) {
	c.head(a)
	_, _ = c.w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(c.w).Flush()
	c.w.cut = true
}

func truncate(c *exchange, a answer, _ time.Duration) {
	begin(c, a)
	abort()
}

func stall(c *exchange, a answer, _ time.Duration) {
	begin(c, a)
	c.wait(maxHold)
	abort()
}

// drip spreads the body over the delay.
func drip(c *exchange, a answer, delay time.Duration) {
	const pieces = 20
	c.head(a)
	controller := http.NewResponseController(c.w)
	for i := range pieces {
		if !c.wait(delay / pieces) {
			c.w.cut = true
			abort()
		}
		_, _ = c.w.Write(a.body[i*len(a.body)/pieces : (i+1)*len(a.body)/pieces])
		_ = controller.Flush()
	}
}
