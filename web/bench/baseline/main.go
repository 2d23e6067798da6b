//go:build js && wasm

// Command baseline is what the module stands on before it has a rule: calls
// into JavaScript and JSON by tokens. The benchmark compares with it what
// leases add.
package main

import (
	"bytes"
	"syscall/js"

	"github.com/go-json-experiment/json/jsontext"
)

func main() {
	d := jsontext.NewDecoder(bytes.NewReader([]byte(js.Global().Get("input").String())))
	value, err := d.ReadValue()
	js.Global().Set("output", string(value))
	if err != nil {
		js.Global().Set("output", err.Error())
	}
	text, _ := jsontext.AppendQuote(nil, "x")
	js.Global().Set("quoted", string(text))
}
