package helper

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Here returns the environment of this process.
func Here() (Environment, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return Environment{}, fmt.Errorf("can't find this user's home folder: %w", err)
	}
	if !filepath.IsAbs(home) {
		return Environment{}, fmt.Errorf("can't find this user's home folder: HOME must be an absolute path, but is %.100q", home)
	}
	program, err := os.Executable()
	if err != nil {
		return Environment{}, fmt.Errorf("can't find this program's own file: %w", err)
	}
	return Environment{OS: runtime.GOOS, Home: home, Getenv: os.Getenv, Program: program, registry: systemRegistry}, nil
}
