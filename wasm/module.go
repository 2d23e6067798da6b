//go:build js

package main

import (
	"runtime"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// collectEvery is how many checks pass between two garbage collections. By itself the
// collector first runs when the heap has doubled, and WebAssembly memory never
// shrinks.
const collectEvery = 32

// module is the running module. Its settings don't change after the start. The rest
// is kept to be used again.
type module struct {
	*realm
	endpoint string
	readable string // the last endpoint that fetch can read
	checks   int
	trust    *license.Trust // nil unless a public key is built in
	// keys are the public keys that were parsed before. Parsing one takes as long as
	// verifying a signature.
	keys map[string]lease.PublicKey

	idleAwaiters []*awaiter
	idleTimers   []*timer

	prepared []*check // by handle; nil if a handle is free
}

// publicKey returns a public key that it parses, or that was parsed before.
func (m *module) publicKey(text string) (lease.PublicKey, error) {
	if key, ok := m.keys[text]; ok {
		return key, nil
	}
	key, err := lease.ParsePublicKey(text)
	if err == nil {
		if m.keys == nil || len(m.keys) >= 2*maxPublicKeys {
			m.keys = make(map[string]lease.PublicKey)
		}
		m.keys[text] = key
	}
	return key, err
}

func (m *module) collect() {
	if m.checks++; m.checks%collectEvery == 0 {
		runtime.GC()
	}
}
