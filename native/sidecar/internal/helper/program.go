package helper

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const onWindows = runtime.GOOS == "windows"

// programName is the name of the installed copy.
func programName(system string) string {
	if system == "windows" {
		return "whop-license-sidecar.exe"
	}
	return "whop-license-sidecar"
}

// folder holds the copy of the program that an extension starts.
func (p place) folder(e Extension) string {
	return filepath.Join(p.data, "whop-license", "helper", e.Host())
}

// ofAnother reports whether a folder contains the program of another extension:
// the ids of two add-ons may lead to the same name.
func ofAnother(folder string, e Extension) bool {
	m, err := readManifest(filepath.Join(folder, manifestName))
	return err == nil && m.Name == e.Host() && !m.allows(e.ID)
}

// copyProgram copies the program into the extension's folder, with the manifest that says
// which extension may start it.
func (env Environment) copyProgram(folder string, e Extension) (program string, changed bool, err error) {
	program = filepath.Join(folder, programName(env.OS))
	content, err := os.ReadFile(env.Program)
	if err != nil {
		return "", false, fmt.Errorf("can't read the program to install: %w", err)
	}
	changed, err = writeFile(program, content, 0o755)
	if err != nil {
		return "", false, fmt.Errorf("can't copy the program: %w", err)
	}
	removeOld(folder)
	text, err := manifestFor(e, program).encode()
	if err != nil {
		return "", false, err
	}
	if _, err := writeFile(filepath.Join(folder, manifestName), text, 0o644); err != nil {
		return "", false, err
	}
	return program, changed, nil
}

// replace renames a file over another. Windows doesn't let a running program be
// replaced, but lets it be renamed.
func replace(from, to string) error {
	err := os.Rename(from, to)
	if err == nil || !onWindows {
		return err
	}
	if os.Rename(to, fmt.Sprintf("%s.%d.old", to, os.Getpid())) != nil {
		return err
	}
	return os.Rename(from, to)
}

// removeOld removes what replace left behind, unless it is still running.
func removeOld(folder string) {
	old, _ := filepath.Glob(filepath.Join(folder, "*.old"))
	for _, path := range old {
		_ = os.Remove(path)
	}
}

// removeProgram removes an extension's folder with the files that copyProgram
// made, and then any empty folders above it.
func (env Environment) removeProgram(folder string) error {
	for _, name := range []string{manifestName, programName(env.OS)} {
		if err := os.Remove(filepath.Join(folder, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	removeOld(folder)
	// The extension's folder, helper and whop-license.
	for range 3 {
		if os.Remove(folder) != nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	return nil
}

// CheckCaller returns an error unless an extension may start this program: the extension
// that it was installed for, or the generic helper's where it wasn't installed.
func CheckCaller(program, id string) error {
	installed, err := readManifest(filepath.Join(filepath.Dir(program), manifestName))
	if err == nil && strings.HasPrefix(installed.Name, "com.whop_license.") {
		if installed.allows(id) {
			return nil
		}
		return fmt.Errorf("the extension %.100q may not start this program: it was installed for %s",
			id, strings.Join(append(installed.AllowedExtensions, installed.AllowedOrigins...), ", "))
	}
	var known []string
	for _, e := range GenericExtensions() {
		if e.ID == id {
			return nil
		}
		known = append(known, e.ID)
	}
	return fmt.Errorf("the extension %.100q may not start this program, but only %s: install it for the extension, with install-helper --extension-id",
		id, strings.Join(known, " and "))
}
