//go:build js && wasm

// Command leases is the baseline with the checking of leases.
package main

import (
	"bytes"
	"syscall/js"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/lease"
)

func main() {
	input := js.Global().Get("input").String()
	d := jsontext.NewDecoder(bytes.NewReader([]byte(input)))
	value, err := d.ReadValue()
	js.Global().Set("output", string(value))
	if err != nil {
		js.Global().Set("output", err.Error())
	}
	text, _ := jsontext.AppendQuote(nil, "x")
	js.Global().Set("quoted", string(text))

	key, err := lease.ParsePublicKey(input)
	if err != nil {
		js.Global().Set("output", err.Error())
	}
	keys := []lease.PublicKey{key}
	want := lease.Expect{LicenseKeyHash: lease.HashLicenseKey(input), MetadataHash: lease.HashMetadata(map[string]string{"HWID": input})}
	fresh, err := lease.Verify(input, keys, want, lease.Nonce([16]byte{}))
	js.Global().Set("verified", fresh.Subject)
	if err != nil {
		js.Global().Set("output", err.Error())
	}
	stored, err := lease.StandIn(input, keys, want, lease.Clock{})
	js.Global().Set("stands in until", stored.StandsInUntil())
	if err != nil {
		js.Global().Set("output", err.Error())
	}
}
