//go:build js

// Command wasm is the license check as a WebAssembly module. Once started, it
// sets one function on the global object, validateLicense, and runs until the
// page, worker or process ends. The function's type is declared in the npm
// package whop-license. Its properties are that package's own interface:
// "version" is this module's release, "hasPublicKey" tells whether a public key is
// built in, and "package" makes a check in steps, between which the npm package
// reads and writes stored leases (see prepare.go).
//
// The environment variable WHOP_LICENSE_ENDPOINT, given to the Go runtime when the
// module is started, is the endpoint of checks whose options name none.
package main

import (
	"strings"
	"syscall"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
	"github.com/whop-license/whop-license/shared/version"
)

// publicKey is set at build time, as "make wasm LICENSE_PUBLIC_KEY=…" does: one
// or more public keys, separated by commas, that no option can then replace.
var publicKey string

func main() {
	m, err := newModule(publicKey)
	if err != nil {
		panic(err)
	}
	export(m)
	select {}
}

func newModule(publicKey string) (*module, error) {
	endpoint, _ := syscall.Getenv("WHOP_LICENSE_ENDPOINT")
	m := &module{realm: newRealm(js.Global()), endpoint: endpoint}
	if publicKey == "" {
		return m, nil
	}
	m.trust = new(license.Trust)
	for _, text := range strings.Split(publicKey, ",") {
		key, err := lease.ParsePublicKey(text)
		if err != nil {
			return nil, err
		}
		m.trust.Keys = append(m.trust.Keys, key)
	}
	return m, nil
}

func export(m *module) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any { return m.validateLicense(args) })
	f.Set("version", version.Version)
	f.Set("hasPublicKey", m.trust != nil)
	f.Set("package", m.packageInterface())
	m.global.Set("validateLicense", f)
}
