package helper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// A State is the state of an extension's host in one browser.
type State string

const (
	Installed   State = "installed"
	Unchanged   State = "unchanged"   // was already installed in the same form
	Removed     State = "removed"     // was installed
	Absent      State = "absent"      // is not installed
	Broken      State = "broken"      // names a program that doesn't exist
	Foreign     State = "foreign"     // another program's manifest is there, and is left alone
	Unsupported State = "unsupported" // the browser can't start programs
	Failed      State = "failed"
)

// An Entry describes one extension in one browser.
type Entry struct {
	Browser   string `json:"browser"`
	Name      string `json:"name"`
	Extension string `json:"extension"`
	Host      string `json:"host"`
	State     State  `json:"state"`
	// Manifest is the manifest's path.
	Manifest string `json:"manifest"`
	// RegistryKey is the key below HKEY_CURRENT_USER that names the manifest on Windows.
	RegistryKey string `json:"registryKey,omitempty"`
	Program     string `json:"program,omitempty"`
	// Message says what is wrong and what to do, if something is.
	Message string `json:"message,omitempty"`
}

// Bad reports whether the extension can't work in the browser, and why is in Message.
func (e Entry) Bad() bool {
	return slices.Contains([]State{Broken, Foreign, Unsupported, Failed}, e.State)
}

// ErrNoBrowser is returned if there is no browser to install the helper for.
var ErrNoBrowser = errors.New("this user has not started any browser that the extension supports: name one, for example with --browser chrome")

// Install installs the program for the extensions, in the named browsers or, if
// none are named, in those that the user has used.
func (env Environment) Install(extensions []Extension, browsers []string) ([]Entry, error) {
	places := env.chosen(browsers)
	entries := eachOf(places, extensions, env.installOne)
	if len(entries) == 0 {
		return nil, ErrNoBrowser
	}
	return entries, nil
}

// Uninstall removes what Install installed, and nothing else.
func (env Environment) Uninstall(extensions []Extension, browsers []string) []Entry {
	places := env.named(browsers)
	entries := eachOf(places, extensions, env.uninstallOne)
	// A copy of the program stays while another browser still uses it.
	for _, p := range places {
		for _, e := range extensions {
			if p.family == e.family && !env.inUse(p.folder(e), e) && !ofAnother(p.folder(e), e) {
				if err := env.removeProgram(p.folder(e)); err != nil {
					entries = append(entries, Entry{Browser: p.browser, Name: p.name, Extension: e.ID, Host: e.Host(),
						State: Failed, Message: fmt.Sprintf("can't remove the program: %v", err)})
				}
			}
		}
	}
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.State == Absent || e.State == Unsupported })
}

// Status returns the state of the extensions in the browsers that the user has
// used, and in all others where they are installed.
func (env Environment) Status(extensions []Extension, browsers []string) []Entry {
	places := env.named(browsers)
	used := map[string]bool{}
	for _, p := range env.chosen(browsers) {
		used[p.name+p.manifests] = true
	}
	entries := []Entry{}
	for _, p := range places {
		for _, entry := range eachOf([]place{p}, extensions, env.statusOne) {
			if entry.State != Absent && entry.State != Unsupported || used[p.name+p.manifests] {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// named returns the places of browsers by their names, by default all.
func (env Environment) named(browsers []string) []place {
	return slices.DeleteFunc(env.places(), func(p place) bool {
		return len(browsers) > 0 && !slices.Contains(browsers, p.browser)
	})
}

// chosen returns the places that have been used. For a named browser that has
// not been used, it returns the usual places.
func (env Environment) chosen(browsers []string) []place {
	var chosen []place
	all := env.named(browsers)
	for _, p := range all {
		if isFolder(p.used) {
			chosen = append(chosen, p)
		}
	}
	for _, browser := range browsers {
		if slices.ContainsFunc(chosen, func(p place) bool { return p.browser == browser }) {
			continue
		}
		usual := ""
		for _, p := range all {
			if p.browser == browser && (usual == "" || p.name == usual) {
				usual = p.name
				chosen = append(chosen, p)
			}
		}
	}
	return chosen
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func eachOf(places []place, extensions []Extension, do func(place, Extension) Entry) []Entry {
	entries := []Entry{}
	for _, p := range places {
		for _, e := range extensions {
			if p.family == e.family {
				entries = append(entries, do(p, e))
			}
		}
	}
	return entries
}

// entry returns an entry with the paths of an extension in a place.
func (p place) entry(e Extension) Entry {
	entry := Entry{Browser: p.browser, Name: p.name, Extension: e.ID, Host: e.Host()}
	if p.key != "" {
		entry.RegistryKey = p.key + `\` + e.Host()
		entry.Manifest = filepath.Join(p.folder(e), manifestName)
	} else {
		entry.Manifest = filepath.Join(p.manifests, e.Host()+".json")
	}
	return entry
}

func (env Environment) installOne(p place, e Extension) Entry {
	entry := env.statusOne(p, e)
	if entry.State == Foreign || entry.State == Unsupported {
		return entry
	}
	if ofAnother(p.folder(e), e) {
		entry.State = Foreign
		entry.Message = fmt.Sprintf("%s contains the program of another extension, whose id leads to the same name", p.folder(e))
		return entry
	}
	was := entry.State
	program, changed, err := env.copyProgram(p.folder(e), e)
	if err == nil {
		var written bool
		written, err = env.register(p, e, program, entry)
		changed = changed || written
	}
	switch {
	case err != nil:
		entry.State, entry.Message = Failed, err.Error()
		return entry
	case was == Installed && !changed:
		entry.State = Unchanged
	default:
		entry.State = Installed
	}
	entry.Program, entry.Message = program, ""
	// JSON can't represent a path that isn't Unicode.
	if now := env.statusOne(p, e); now.State != Installed {
		entry.State, entry.Message = Failed, fmt.Sprintf("the manifest can't name the program: %q", program)
	}
	return entry
}

// register tells the browser about the program.
func (env Environment) register(p place, e Extension, program string, entry Entry) (changed bool, err error) {
	if p.key != "" {
		value, found, err := env.registry.get(entry.RegistryKey)
		if err != nil || found && value == entry.Manifest {
			return false, err
		}
		return true, env.registry.set(entry.RegistryKey, entry.Manifest)
	}
	text, err := manifestFor(e, program).encode()
	if err != nil {
		return false, err
	}
	return writeFile(entry.Manifest, text, 0o644)
}

func (env Environment) uninstallOne(p place, e Extension) Entry {
	entry := env.statusOne(p, e)
	if entry.State != Installed && entry.State != Broken {
		return entry
	}
	var err error
	if p.key != "" {
		err = env.registry.remove(entry.RegistryKey)
	} else {
		err = os.Remove(entry.Manifest)
	}
	entry.State, entry.Message = Removed, ""
	if err != nil {
		entry.State, entry.Message = Failed, err.Error()
	}
	return entry
}

func (env Environment) statusOne(p place, e Extension) Entry {
	entry := p.entry(e)
	if p.cannot != "" {
		entry.State, entry.Message = Unsupported, p.cannot
		return entry
	}
	m, whose := lookAt(entry.Manifest, e)
	if p.key != "" {
		value, found, err := env.registry.get(entry.RegistryKey)
		switch {
		case err != nil:
			entry.State, entry.Message = Failed, err.Error()
			return entry
		case !found:
			whose = absent
		case value != entry.Manifest:
			whose = foreign
		case whose == absent: // the key is ours, but the file that it names is gone
			whose = own
		}
	}
	switch whose {
	case absent:
		entry.State = Absent
	case foreign:
		entry.State = Foreign
		entry.Message = "something else has the helper's name, and was left alone: remove it if you don't need it, and install again"
	case own:
		entry.State, entry.Program = Installed, m.Path
		if info, err := os.Stat(m.Path); err != nil || !info.Mode().IsRegular() || !onWindows && info.Mode()&0o111 == 0 {
			entry.State, entry.Message = Broken, "the program is missing or can't be started: install again"
		}
	}
	return entry
}

// inUse reports whether a browser's manifest still names the program in a folder.
func (env Environment) inUse(folder string, e Extension) bool {
	return slices.ContainsFunc(env.places(), func(p place) bool {
		if p.family != e.family || p.folder(e) != folder {
			return false
		}
		state := env.statusOne(p, e).State
		return state == Installed || state == Broken
	})
}
