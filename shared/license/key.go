package license

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKeyLength is the greatest length of a license key, in characters.
const MaxKeyLength = 200

// ParseKey trims the white space around a license key and returns the rest, or
// an [InvalidArgument] error. Sellers choose their keys' form, so it refuses
// only what could not be a key or could steer a URL's path: an empty key, one
// over [MaxKeyLength], malformed UTF-8, "." and "..", white space, control
// characters, and any of / ? # % \.
func ParseKey(raw string) (string, error) {
	const arg = "licenseKey"
	if !utf8.ValidString(raw) {
		return "", Invalid(arg, "is not well-formed Unicode")
	}
	key := strings.TrimFunc(raw, isSpace)
	switch {
	case key == "":
		return "", Invalid(arg, "is empty; ask for the license key from the purchase")
	case utf8.RuneCountInString(key) > MaxKeyLength:
		return "", Invalid(arg, "is longer than 200 characters")
	case key == "." || key == "..":
		return "", Invalid(arg, "is not a license key")
	}
	for _, r := range key {
		if isSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`/?#%\`, r) {
			return "", Invalid(arg, `contains white space, a control character, or one of / ? # % \; copy the license key alone`)
		}
	}
	return key, nil
}

// ShortenKey returns a license key as it may be shown in a log or an error: its
// first and last four characters, or only an ellipsis where those would be
// most of it.
func ShortenKey(key string) string {
	r := []rune(key)
	if len(r) < 12 {
		return "…"
	}
	return string(r[:4]) + "…" + string(r[len(r)-4:])
}

// isSpace reports white space by Unicode's definition or JavaScript's, which
// adds U+FEFF: a key pasted from either world is trimmed alike.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }

// escapePath percent-encodes all but RFC 3986's unreserved characters.
func escapePath(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '.' || c == '_' || c == '~' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
