package machine

import "strings"

const (
	warnShared   = "This machine's id is one that many machines share, so a license bound to it holds on all of them."
	warnFallback = "This machine has no machine id of its own; its host name stands in, which can repeat and change."
	warnRunsOn   = "This machine's id file doesn't end with a line break, so its host name became part of the id, as in node-machine-id: the id changes when the host name does."
	warnHost     = "This machine's host name is a default that many machines share, so a license bound to it holds on all of them."
)

// warnings says what is known to be wrong with an id. The ids that are known to be bad
// are manufacturers' defaults, and what images and broken installations leave behind.
func warnings(raw Raw, scheme Scheme) []string {
	if raw.Source == HostName {
		var w []string
		if scheme != PythonPlatformNode {
			w = append(w, warnFallback)
		}
		switch strings.ToLower(raw.Value) {
		case "localhost", "localhost.localdomain", "(none)":
			w = append(w, warnHost)
		}
		return w
	}
	digits := strings.ReplaceAll(strings.ToLower(raw.Value), "-", "")
	switch {
	case digits == "uninitialized",
		digits == "03000200040005000006000700080009",
		strings.Trim(digits, "0") == "",
		strings.Trim(digits, "f") == "":
		return []string{warnShared}
	}
	return nil
}
