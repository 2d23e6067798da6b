//go:build js

// Command wasm is the licence check as a WebAssembly module. Once started, it
// sets one function on the global object, validateLicense, and runs until the
// page, worker or process ends. The function's type is declared in the npm
// package whop-license; its "version" property is this module's release.
//
// The environment variable WHOP_LICENSE_ENDPOINT, given to the Go runtime when
// the module is started, is the endpoint of calls that name none.
package main

import (
	"syscall"

	"syscall/js"

	"github.com/whop-license/whop-license/shared/version"
)

func main() {
	export(newModule())
	select {}
}

func newModule() *module {
	endpoint, _ := syscall.Getenv("WHOP_LICENSE_ENDPOINT")
	return &module{realm: newRealm(js.Global()), endpoint: endpoint}
}

func export(m *module) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any { return m.validateLicense(args) })
	f.Set("version", version.Version)
	m.global.Set("validateLicense", f)
}
