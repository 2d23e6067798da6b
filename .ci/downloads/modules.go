package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// module is one that is linked into a program, with the files that state its
// license: its own, and those in the folders of packages that are linked.
type module struct {
	path, version string
	files         []licenseFile
	licenses      []string // SPDX ids
}

type licenseFile struct {
	name string // relative to the module
	text []byte
}

type modules []module

// with returns the modules of both lists, in order.
func (m modules) with(others modules) modules {
	all := slices.Concat(m, others)
	slices.SortFunc(all, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return slices.CompactFunc(all, func(a, b module) bool { return a.path == b.path })
}

// standardLibrary is the path of the module that Go itself is.
const standardLibrary = "std"

// linked lists the modules of which a program's packages are, Go's own among them.
func (r *release) linked(pkg string, target platform) (modules, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Standard,Module", pkg)
	cmd.Dir, cmd.Env, cmd.Stderr = r.root, target.environment(), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]*folders{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		if found[p.Module.Path] == nil {
			found[p.Module.Path] = &folders{version: p.Module.Version, root: p.Module.Dir}
		}
		found[p.Module.Path].packages = append(found[p.Module.Path].packages, p.Dir)
	}
	goRoot, goVersion, err := goItself()
	if err != nil {
		return nil, err
	}
	found[standardLibrary] = &folders{version: goVersion, root: goRoot}
	var all modules
	for path, f := range found {
		m, err := f.read(path)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all.with(nil), nil
}

// listed is what `go list` says of a package.
type listed struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
	}
}

func goItself() (root, version string, err error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", "", err
	}
	lines := strings.Fields(string(out))
	return lines[0], strings.TrimPrefix(lines[1], "go"), nil
}

// folders are a module's: where it lies, and those of its packages.
type folders struct {
	version, root string
	packages      []string
}

var licenseName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)(\.(md|txt)|-[\w.]+)?$`)

// read reads the files that state the license of a module.
func (f *folders) read(path string) (module, error) {
	m := module{path: path, version: f.version}
	dirs := map[string]bool{f.root: true}
	for _, dir := range f.packages {
		for ; len(dir) > len(f.root); dir = filepath.Dir(dir) {
			dirs[dir] = true
		}
	}
	var names []string
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return m, err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && licenseName.MatchString(e.Name()) {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return m, err
		}
		relative, err := filepath.Rel(f.root, name)
		if err != nil {
			return m, err
		}
		m.files = append(m.files, licenseFile{filepath.ToSlash(relative), text})
	}
	return m, m.classify()
}

// compatible are the licenses under which a part may be linked into a program
// that is given away under the MIT license, with a notice.
var compatible = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Apache-2.0", "MPL-2.0", "CC0-1.0"}

// classify finds a module's licenses by their texts, and refuses what may not be
// linked. Notices and grants of patents are no licenses.
func (m *module) classify() error {
	for _, f := range m.files {
		base := strings.ToLower(filepath.Base(f.name))
		if strings.HasPrefix(base, "notice") || strings.HasPrefix(base, "patents") {
			continue
		}
		found := licensecheck.Scan(f.text)
		if len(found.Match) == 0 {
			return fmt.Errorf("%s: %s is no license that is known", m.path, f.name)
		}
		for _, match := range found.Match {
			if !slices.Contains(compatible, match.ID) {
				return fmt.Errorf("%s: %s is the license %s, which is not on the list of those that may be linked", m.path, f.name, match.ID)
			}
			m.licenses = append(m.licenses, match.ID)
		}
	}
	slices.Sort(m.licenses)
	m.licenses = slices.Compact(m.licenses)
	if len(m.licenses) == 0 {
		return fmt.Errorf("%s: has no file that states its license", m.path)
	}
	return nil
}
