package machine

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean does what node-machine-id does to the text that it found.
func clean(s string) string {
	return lower(stripSpace(s))
}

// decode reads bytes as UTF-8 by the WHATWG Encoding Standard, as Node does: what starts
// a character and then breaks off becomes one U+FFFD. Go makes one of each byte.
func decode(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			// FullRune is false while what it is given could still become
			// a character.
			for size < len(b) && !utf8.FullRune(b[:size+1]) {
				size++
			}
		}
		s.WriteRune(r)
		b = b[size:]
	}
	return s.String()
}

// stripSpace removes all that \s matches in a JavaScript regular expression:
// ECMA-262's WhiteSpace and LineTerminator. Unlike Go's unicode.IsSpace, they
// include U+FEFF and not U+0085.
func stripSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xFEFF || r != 0x85 && unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// lower is JavaScript's String.prototype.toLowerCase: the simple lower case of each
// character, except for the two special cases in Unicode's SpecialCasing that depend on
// no language.
func lower(s string) string {
	rs := []rune(s)
	out := make([]rune, 0, len(rs))
	for i, r := range rs {
		switch r {
		case 'İ':
			out = append(out, 'i', 0x307)
		case 'Σ':
			if !nextToCased(rs[i+1:], 1) && nextToCased(rs[:i], -1) {
				out = append(out, 'ς')
			} else {
				out = append(out, 'σ')
			}
		default:
			out = append(out, unicode.ToLower(r))
		}
	}
	return string(out)
}

// nextToCased reports whether the first character that casing doesn't ignore is cased,
// going forward from the start (step 1) or back from the end (step -1). A character that
// is both cased and ignorable is ignored, as by ICU, which JavaScript engines use.
func nextToCased(rs []rune, step int) bool {
	i := 0
	if step < 0 {
		i = len(rs) - 1
	}
	for ; i >= 0 && i < len(rs); i += step {
		if r := rs[i]; !caseIgnorable(r) {
			return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
		}
	}
	return false
}

// caseIgnorable is Unicode's property Case_Ignorable. The characters listed
// are those of Word_Break MidLetter, MidNumLet and Single_Quote.
func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}
