package license

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The limits of Whop's metadata.
const (
	MaxMetadataKeys        = 50
	MaxMetadataKeyLength   = 100 // characters
	MaxMetadataValueLength = 500 // characters
)

// CheckMetadata returns an [InvalidArgument] error where metadata can't be
// stored by Whop, or where an empty value would bind a license to nothing.
// An empty map is allowed; it asks without binding.
func CheckMetadata(metadata map[string]string) error {
	const arg = "hwid"
	if len(metadata) > MaxMetadataKeys {
		return Invalid(arg, "has more than 50 members")
	}
	for name, value := range metadata {
		switch {
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return Invalid(arg, "is not well-formed Unicode")
		case name == "":
			return Invalid(arg, "has a member without a name")
		case name == "__proto__":
			return Invalid(arg, "has a member named __proto__")
		case utf8.RuneCountInString(name) > MaxMetadataKeyLength:
			return Invalid(arg, "has a member whose name is longer than 100 characters")
		case strings.TrimFunc(value, isSpace) == "":
			return Invalid(arg, "is empty; without a machine id a license would be bound to nothing, so report the failure to read it instead")
		case utf8.RuneCountInString(value) > MaxMetadataValueLength:
			return Invalid(arg, "is longer than 500 characters")
		}
	}
	return nil
}

// appendString appends s as a JSON string. Malformed UTF-8 becomes U+FFFD, as
// it can only stand in text that was checked before or is for display.
func appendString(dst []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	return quoted
}
