// Downloads builds what a release publishes besides the npm packages, from the
// checkout that it lies in, and the checksums of all files of the folder:
//
//	go run . FOLDER [PLATFORM…]
//
// For each platform there is an archive of the gateway and one of the sidecar;
// for Debian a package of the gateway; for each program a bill of materials. The
// same source and the same Go give the same bytes.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// epoch is when every file was last changed, as npm has it in its packages.
var epoch = time.Date(1985, 10, 26, 8, 15, 0, 0, time.UTC)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: downloads FOLDER [PLATFORM…]")
		os.Exit(2)
	}
	targets, err := platformsOf(os.Args[2:])
	if err == nil {
		err = makeAll(os.Args[1], targets)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "downloads:", err)
		os.Exit(1)
	}
}

// makeAll writes the files for platforms into a folder that exists.
func makeAll(folder string, targets []platform) error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	version, err := readVersion(root)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "whop-license-downloads-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	r := release{root: root, work: work, folder: folder, version: version}
	for _, program := range programs {
		if err := r.makeProgram(program, targets); err != nil {
			return fmt.Errorf("%s: %w", program.name, err)
		}
	}
	if err := r.makeModuleBill(); err != nil {
		return err
	}
	return writeChecksums(folder)
}

// release is what is being made: from root, by way of work, into folder.
type release struct{ root, work, folder, version string }

var versionLine = regexp.MustCompile(`(?m)^const Version = "(.+)"$`)

func readVersion(root string) (string, error) {
	source, err := os.ReadFile(filepath.Join(root, "shared/version/version.go"))
	if err != nil {
		return "", err
	}
	found := versionLine.FindSubmatch(source)
	if found == nil {
		return "", fmt.Errorf("shared/version/version.go names no version")
	}
	return string(found[1]), nil
}

// makeProgram makes a program's archives, its packages and its bill of materials.
func (r *release) makeProgram(p program, targets []platform) error {
	var all modules
	for _, target := range targets {
		file, err := r.build(p, target)
		if err != nil {
			return err
		}
		linked, err := r.linked("./native/"+p.source, target)
		if err != nil {
			return err
		}
		all = all.with(linked)
		notices := noticesOf(linked, p.name)
		if err := r.makeArchive(p, target, file, notices); err != nil {
			return err
		}
		if p.debian && target.goos == "linux" {
			if err := r.makeDebian(p, target, file, notices); err != nil {
				return err
			}
		}
	}
	return r.writeBill(p.name, p.about, all)
}
