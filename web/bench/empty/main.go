//go:build js && wasm

// Command empty is the smallest Go program: the floor that the Go runtime sets
// for the size of any WebAssembly module.
package main

func main() {}
