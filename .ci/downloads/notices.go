package main

import (
	"bytes"
	"fmt"
)

// noticesOf returns the licenses of what is linked into a program.
func noticesOf(linked modules, program string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s contains the following third-party software. The source of each\nmodule, in this version, is at https://pkg.go.dev/MODULE@VERSION.\n", program)
	for _, m := range linked {
		name := m.path + "@" + m.version
		if m.path == standardLibrary {
			name = "The Go standard library and runtime, " + m.version
		}
		for _, f := range m.files {
			fmt.Fprintf(&b, "\n%s\n%s\n%s\n%s\n\n%s\n", line, name, f.name, line, bytes.TrimSpace(f.text))
		}
	}
	return b.Bytes()
}

const line = "================================================================================"
