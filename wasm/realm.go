//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
)

// realm holds the page's built-in functions as they were when the module started, so
// that what a page does to its prototypes later changes no rule. A page may replace
// fetch, its time and its timers on purpose, so those are looked up when they are
// used.
//
// Call the functions with Invoke, which turns a JavaScript exception into a Go panic
// that can be recovered. Get and Set on a caller's object would let the exception of a
// getter through the Go runtime, and end it.
type realm struct {
	global         js.Value
	create         js.Value
	defineProperty js.Value
	getPrototypeOf js.Value
	array          js.Value
	isArray        js.Value
	ownKeys        js.Value
	get            js.Value
	parse          js.Value
	errorClass     js.Value
	promise        js.Value
	resolve        js.Value // Promise.resolve
	uint8Array     js.Value

	abortController js.Value
	assign          js.Value
	canParse        js.Value // URL.canParse, which not every platform has

	charCodeAt js.Value // of its first argument
	bindPush   js.Value // makes a push that adds to its argument
	fetchInit  js.Value // what all requests have in common

	status, body, value js.Value // names of members, as JavaScript has them
}

func newRealm(global js.Value) *realm {
	object, array, reflect := global.Get("Object"), global.Get("Array"), global.Get("Reflect")
	r := &realm{
		global:         global,
		create:         object.Get("create"),
		defineProperty: object.Get("defineProperty"),
		getPrototypeOf: object.Get("getPrototypeOf"),
		array:          array,
		isArray:        array.Get("isArray"),
		ownKeys:        reflect.Get("ownKeys"),
		get:            reflect.Get("get"),
		parse:          global.Get("JSON").Get("parse"),
		errorClass:     global.Get("Error"),
		promise:        global.Get("Promise"),
		uint8Array:     global.Get("Uint8Array"),

		abortController: global.Get("AbortController"),
		assign:          object.Get("assign"),
	}
	if url := global.Get("URL"); url.Type() == js.TypeFunction {
		r.canParse = url.Get("canParse")
	}
	r.resolve = r.promise.Get("resolve").Call("bind", r.promise)
	call := array.Get("call")
	r.charCodeAt = call.Call("bind", global.Get("String").Get("prototype").Get("charCodeAt"))
	bind := array.Get("bind")
	r.bindPush = bind.Call("call", bind, array.Get("prototype").Get("push"))
	r.fetchInit = r.dict(
		"credentials", "omit",
		"redirect", "manual",
		"referrerPolicy", "no-referrer",
	)
	r.status, r.body, r.value = js.ValueOf("status"), js.ValueOf("body"), js.ValueOf("value")
	return r
}

// dict returns an object with the given names and values in turn. It has no prototype,
// so that it has only those members even if a page added some to Object.prototype.
func (r *realm) dict(members ...any) js.Value {
	o := r.create.Invoke(js.Null())
	for i := 0; i < len(members); i += 2 {
		o.Set(members[i].(string), members[i+1])
	}
	return o
}

// isBrowser reports whether strangers can read the code that runs here: in a page, a
// page's worker, or an Electron renderer.
func (r *realm) isBrowser() bool {
	for _, name := range []string{"window", "document", "WorkerGlobalScope"} {
		if !r.global.Get(name).IsUndefined() {
			return true
		}
	}
	return false
}

// nonce returns a random value, to which no server can have responded before.
func (r *realm) nonce() string {
	array := r.uint8Array.New(16)
	r.global.Get("crypto").Call("getRandomValues", array)
	var random [16]byte
	js.CopyBytesToGo(random[:], array)
	return lease.Nonce(random)
}

// define gives an object members, of the given names and values in turn.
func (r *realm) define(value js.Value, members ...any) js.Value {
	for i := 0; i < len(members); i += 2 {
		// Defined, not set: a setter on a prototype can't stand in the way.
		hidden := members[i] == "name" || members[i] == "cause"
		r.defineProperty.Invoke(value, members[i], r.dict(
			"value", members[i+1], "writable", true, "configurable", true, "enumerable", !hidden))
	}
	return value
}
