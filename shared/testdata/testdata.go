// Package testdata embeds the test vectors, so that a test compiled to
// WebAssembly, which has no file system in a browser, reads the same files as
// a native one. Only tests import it.
package testdata

import "embed"

// Files holds one JSON file per case, in a folder per rule. Each file's
// members are described in the README beside it.
//
//go:embed */*.json
var Files embed.FS
