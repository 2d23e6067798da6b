package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// program is one that is published.
type program struct {
	name, source, about string
	debian              bool // it is a server, with a unit and settings, and has a package
}

var programs = []program{
	{name: "whop-license-gateway", source: "gateway", about: "The server that keeps the API key and signs leases.", debian: true},
	{name: "whop-license-sidecar", source: "sidecar", about: "The program that tells this machine's id."},
}

// platform has Node's name, as the npm packages have it, and Go's.
type platform struct{ name, goos, goarch string }

var platforms = []platform{
	{"linux-x64", "linux", "amd64"},
	{"linux-arm64", "linux", "arm64"},
	{"darwin-x64", "darwin", "amd64"},
	{"darwin-arm64", "darwin", "arm64"},
	{"win32-x64", "windows", "amd64"},
	{"win32-arm64", "windows", "arm64"},
}

// platformsOf returns the platforms of those names, or all.
func platformsOf(names []string) ([]platform, error) {
	if len(names) == 0 {
		return platforms, nil
	}
	var found []platform
	for _, name := range names {
		i := slices.IndexFunc(platforms, func(p platform) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no platform %s", name)
		}
		found = append(found, platforms[i])
	}
	return found, nil
}

func (p platform) environment() []string {
	return append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "CGO_ENABLED=0")
}

// fileOf is a program's file name on a platform.
func (p platform) fileOf(program string) string {
	if p.goos == "windows" {
		return program + ".exe"
	}
	return program
}

// build builds a program, as the Makefile builds bin/, and returns its file.
func (r *release) build(p program, target platform) (string, error) {
	file := filepath.Join(r.work, target.name, target.fileOf(p.name))
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, "./native/"+p.source)
	cmd.Dir, cmd.Env, cmd.Stderr = r.root, target.environment(), os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build for %s: %w", target.name, err)
	}
	return file, nil
}
