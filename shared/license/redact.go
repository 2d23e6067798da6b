package license

import (
	"strings"
	"unicode"
)

// ShortenKey returns a license key, or another secret, as it may be shown in a log
// or an error: its first and last four characters, or only an ellipsis if those
// would be most of it.
func ShortenKey(key string) string {
	r := []rune(key)
	if len(r) < 12 {
		return "…"
	}
	return string(r[:4]) + "…" + string(r[len(r)-4:])
}

// Redact replaces each of the secrets in a text by what [ShortenKey] makes of it,
// in whatever case its ASCII letters are and also where it is percent-encoded. It
// leaves secrets of under four characters alone: they are part of ordinary
// words, and protect nothing.
func Redact(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 4 {
			text = replaceFold(text, secret, ShortenKey(secret))
			text = replaceFold(text, escapePath(secret), ShortenKey(secret))
		}
	}
	return text
}

// replaceFold replaces old in s, whatever the case of its ASCII letters: a server
// may know a license key in another case.
func replaceFold(s, old, with string) string {
	low, find := lowerASCII(s), lowerASCII(old)
	var b strings.Builder
	for {
		i := strings.Index(low, find)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		b.WriteString(with)
		s, low = s[i+len(old):], low[i+len(old):]
	}
}

// maxMessage bounds a server's message, in characters.
const maxMessage = 300

// cleanMessage makes a server's text fit to be shown: one line, of bounded
// length, without control characters, and without the secrets that it may
// repeat, as Whop's own 404 does.
func cleanMessage(s string, q Query) string {
	key, _ := ParseKey(q.LicenseKey)
	s = Redact(s, key, q.APIKey)
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxMessage {
			b.WriteRune('…')
			break
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimFunc(b.String(), isSpace)
}
