// Package license holds the rules of a license check against Whop's
// validate_license contract: what is sent, what a response means, and when to try
// again.
//
// A check ends in one of two ways. A [Verdict] is what the server said about
// the license. An [*Error] says what prevented a verdict. It says nothing about
// the license, and an application must not treat it as a refusal.
//
// The package does no I/O. It is compiled into a WebAssembly module that every
// customer downloads, so it doesn't use fmt, time, context, net/url and
// encoding/json, which together would double the module's size.
package license
