package license

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

// Default_Ignorable_Code_Point is derived from other properties, as the head of
// its section in DerivedCoreProperties.txt tells. The standard library has those.
func TestInvisibleIsDefaultIgnorable(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		ignorable := unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector) &&
			!unicode.In(r, unicode.White_Space, unicode.Prepended_Concatenation_Mark) &&
			(r < 0xFFF9 || r > 0xFFFB) && (r < 0x13430 || r > 0x13440)
		if want := ignorable || r == 0x2800; want != (dropInvisible(r) < 0) {
			assert.Fail(t, "dropped or not", "%U: want %v", r, want)
		}
	}
}

func TestKeyMessagesNameTheCharacter(t *testing.T) {
	for key, want := range map[string]string{
		"A1–B2":  `licenseKey: has “–” (U+2013) where a hyphen "-" belongs; type the key or copy it again`,
		"A1−B2":  `licenseKey: has “−” (U+2212) where a hyphen "-" belongs; type the key or copy it again`,
		"A1𐺭B2":  `licenseKey: has “𐺭” (U+10EAD) where a hyphen "-" belongs; type the key or copy it again`,
		"“A1-B2": "licenseKey: has the quotation mark ““” (U+201C); copy the license key alone",
		"A1-B2,": "licenseKey: ends with “,” (U+002C); copy the license key alone",
		"'A1-B2": "licenseKey: begins with “'” (U+0027); copy the license key alone",
	} {
		_, err := ParseKey(key)
		assert.EqualError(t, err, want)
	}
}
