package license

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxKeyLength is the greatest length of a license key, in characters.
const MaxKeyLength = 200

// ParseKey returns a license key without what a paste brings along and nobody
// sees, or an [InvalidArgument] error. It trims white space, and drops invisible
// characters wherever they are.
//
// Sellers choose the form of their keys, so ParseKey refuses only what can't be a
// key or could change a URL's path: an empty key, a key of over [MaxKeyLength]
// characters, malformed UTF-8, "." and "..", white space, control characters, any
// of / ? # % \, the dashes and quotation marks of typeset text, and punctuation
// around the key.
func ParseKey(raw string) (string, error) {
	const arg = "licenseKey"
	if !utf8.ValidString(raw) {
		return "", Invalid(arg, "is not well-formed Unicode")
	}
	key := strings.TrimFunc(strings.Map(dropInvisible, raw), isSpace)
	switch {
	case key == "":
		return "", Invalid(arg, "is empty; ask for the license key from the purchase")
	case utf8.RuneCountInString(key) > MaxKeyLength:
		return "", Invalid(arg, longerThan(MaxKeyLength))
	case key == "." || key == "..":
		return "", Invalid(arg, "is not a license key")
	}
	for _, r := range key {
		switch {
		case isSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`/?#%\`, r):
			return "", Invalid(arg, `contains white space, a control character, or one of / ? # % \; copy the license key alone`)
		case r > '~' && unicode.Is(unicode.Dash, r):
			return "", Invalid(arg, "has "+named(r)+` where a hyphen "-" belongs; type the key or copy it again`)
		case r > '~' && unicode.Is(unicode.Quotation_Mark, r):
			return "", Invalid(arg, "has the quotation mark "+named(r)+"; copy the license key alone")
		}
	}
	first, last := key[0], key[len(key)-1]
	if strings.IndexByte(around, first) >= 0 {
		return "", Invalid(arg, "begins with "+named(rune(first))+"; copy the license key alone")
	}
	if strings.IndexByte(around, last) >= 0 {
		return "", Invalid(arg, "ends with "+named(rune(last))+"; copy the license key alone")
	}
	return key, nil
}

// around are characters that enclose or end a key in a list, a letter or a program.
const around = `"',;`

// named returns a character and its code point, such as “–” (U+2013).
func named(r rune) string {
	const hex = "0123456789ABCDEF"
	code := []byte{hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15]}
	if r > 0xFFFF {
		code = append([]byte{hex[r>>16&15]}, code...)
	}
	return "“" + string(r) + "” (U+" + string(code) + ")"
}

// invisible are the first and last of each run of characters that have
// Default_Ignorable_Code_Point in Unicode 15's DerivedCoreProperties.txt (Unicode
// 16 and 17 have the same), and U+2800, a Braille pattern without dots.
var invisible = [...][2]rune{
	{0x00AD, 0x00AD}, {0x034F, 0x034F}, {0x061C, 0x061C}, {0x115F, 0x1160}, {0x17B4, 0x17B5},
	{0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F}, {0x2800, 0x2800},
	{0x3164, 0x3164}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFF8},
	{0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
}

// dropInvisible maps invisible characters to nothing, for [strings.Map].
func dropInvisible(r rune) rune {
	if r > '~' {
		for _, run := range invisible {
			if run[0] <= r && r <= run[1] {
				return -1
			}
		}
	}
	return r
}

// isSpace reports whether r is white space by Unicode's definition or by
// JavaScript's, which adds U+FEFF.
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
