//go:build !windows

package helper

// systemRegistry returns nil: only Windows has a registry.
var systemRegistry userRegistry
