package license

import (
	"strconv"
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

// CheckMetadata returns an [InvalidArgument] error if Whop can't store metadata,
// or if a value is empty, which would bind a license to nothing. Metadata is what
// the contract calls the JSON object that holds the machine id, so the error names
// the argument hwid. An empty map is allowed: it asks without binding.
func CheckMetadata(metadata map[string]string) error {
	const arg = "hwid"
	if len(metadata) > MaxMetadataKeys {
		return Invalid(arg, "has more than "+strconv.Itoa(MaxMetadataKeys)+" members")
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
			return Invalid(arg, "has a member whose name "+longerThan(MaxMetadataKeyLength))
		case strings.TrimFunc(value, isSpace) == "":
			return Invalid(arg, "is empty; without a machine id a license would be bound to nothing, so report the failure to read it instead")
		case utf8.RuneCountInString(value) > MaxMetadataValueLength:
			return Invalid(arg, longerThan(MaxMetadataValueLength))
		}
	}
	return nil
}

// appendString appends s as a JSON string. Malformed UTF-8 becomes U+FFFD; it can
// only come from text that was validated before or is for display.
func appendString(dst []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	return quoted
}
