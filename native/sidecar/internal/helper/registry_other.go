//go:build !windows

package helper

// systemRegistry is only on Windows.
var systemRegistry userRegistry
