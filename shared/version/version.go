// Package version holds the one version that every part of whop-license reports.
package version

// Version is the release, in semantic-versioning form. The programs, the wasm
// module and js/package.json carry the same string; a test compares them.
const Version = "0.1.0"
