//go:build js

// Command stopping is a module like whop-license's that fails in the ways a Go
// program can. How it starts is told by the endpoint, and how it stops by the
// license key.
package main

import (
	"os"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/version"
)

func main() {
	reported := version.Version
	switch os.Getenv("WHOP_LICENSE_ENDPOINT") {
	case "exits":
		os.Exit(3)
	case "panics":
		panic("stopped by the test")
	case "sets nothing":
		select {}
	case "old":
		reported = "0.0.1"
	}

	never := js.Global().Get("Promise").New(js.FuncOf(func(js.Value, []js.Value) any { return nil }))
	f := js.FuncOf(func(_ js.Value, args []js.Value) any {
		switch args[0].String() {
		case "exit":
			os.Exit(0)
		case "panic":
			panic("stopped by the test")
		case "throw":
			args[1].Get("thrower") // throws through the Go program
		case "print later":
			js.Global().Get("Promise").Call("resolve").Call("then",
				js.FuncOf(func(js.Value, []js.Value) any { println("resumed"); return nil }))
		case "exit later":
			go func() {
				done := make(chan struct{})
				js.Global().Get("Promise").Call("resolve").Call("then",
					js.FuncOf(func(js.Value, []js.Value) any { close(done); return nil }))
				<-done
				os.Exit(0)
			}()
		case "nothing":
			return nil
		case "reject":
			return js.Global().Get("Promise").Call("reject", args[1])
		}
		return never
	})
	f.Set("version", reported)
	js.Global().Set("validateLicense", f)
	select {}
}
