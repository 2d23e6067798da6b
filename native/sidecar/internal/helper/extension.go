// Package helper installs the program as the native messaging host of a browser
// extension, through which pages get an id for this machine. It works for one
// user and needs no administrator rights.
//
// Each extension has a host of its own, named after the extension's id, and a
// copy of the program in a folder named after the host. So the helpers of
// several sellers coexist, each with its own version, and a browser's manifest
// names a path that stays the same when the app that installed it is updated or
// moved.
package helper

import (
	"fmt"
	"regexp"
	"strings"
)

// The generic helper's ids: in Chromium and its relatives, that of the public key in
// web/extension/key.txt, and in Firefox the add-on id of its manifest.
const (
	chromiumID = "offoegjegfabemlkpiapnfdlhpliipni"
	firefoxID  = "helper@whop-license"
)

// GenericExtensions returns the ids of the helper that every site may use.
func GenericExtensions() []Extension {
	return []Extension{{ID: chromiumID, family: chromium}, {ID: firefoxID, family: firefox}}
}

// A family of browsers has one form of manifests and of extension ids.
type family int

const (
	chromium family = iota
	firefox
)

// An Extension is a browser extension that may start the program.
type Extension struct {
	ID     string
	family family
}

var (
	chromiumForm = regexp.MustCompile(`^[a-p]{32}$`)
	firefoxForm  = regexp.MustCompile(`^(\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}|[A-Za-z0-9._-]*@[A-Za-z0-9._-]+)$`)
)

// ParseExtension reads the id of an extension of Chrome's kind or of a Firefox add-on.
func ParseExtension(id string) (Extension, error) {
	switch {
	case chromiumForm.MatchString(id):
		return Extension{ID: id, family: chromium}, nil
	case len(id) <= 80 && firefoxForm.MatchString(id):
		return Extension{ID: id, family: firefox}, nil
	}
	return Extension{}, fmt.Errorf("%.100q is not an extension id: Chrome's have 32 letters from a to p, and Firefox's look like helper@example.com", id)
}

// Generic reports whether every site may use this extension.
func (e Extension) Generic() bool { return e.ID == chromiumID || e.ID == firefoxID }

// Host returns the name of the extension's native messaging host. The extension
// derives the same name from its own id.
func (e Extension) Host() string {
	return "com.whop_license." + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(e.ID))
}

// Caller returns the id of the extension for which a browser started the
// program with these arguments, and whether it was a browser that started it.
// Chrome and its relatives give the extension's origin and, on Windows, a
// window's handle; Firefox gives the manifest's path and the add-on's id.
func Caller(args []string) (id string, ok bool) {
	if len(args) == 2 && strings.HasSuffix(args[0], ".json") && strings.Contains(args[0], "com.whop_license.") {
		return args[1], true
	}
	origins := 0
	for _, arg := range args {
		switch {
		case strings.HasPrefix(arg, "chrome-extension://"):
			id = strings.TrimSuffix(strings.TrimPrefix(arg, "chrome-extension://"), "/")
			origins++
		case strings.HasPrefix(arg, "--parent-window="):
		default:
			return "", false
		}
	}
	return id, origins == 1
}
