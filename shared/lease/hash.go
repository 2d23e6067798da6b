package lease

import (
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/lease/internal/sha2"
)

// HashLicenseKey returns the claim "lic": the SHA-256 of the license key in UTF-8, in
// lowercase hex. The key must be cleaned, as license.ParseKey does, and as it is sent.
func HashLicenseKey(key string) string { return hexSum([]byte(key)) }

// HashMetadata returns the claim "hwm": the SHA-256 of [CanonicalMetadata], in
// lowercase hex.
func HashMetadata(metadata map[string]string) string { return hexSum(CanonicalMetadata(metadata)) }

// CanonicalMetadata returns metadata, which is how the contract carries a machine id,
// as JSON in the one spelling of RFC 8785: without white space, with names in the
// order of their UTF-16 code units, and with only those characters escaped that JSON
// requires, as by JavaScript's JSON.stringify. Names and values must be well-formed
// UTF-8. A byte that isn't is written as U+FFFD.
func CanonicalMetadata(metadata map[string]string) []byte {
	names := make([]string, 0, len(metadata))
	for name := range metadata {
		names = append(names, name)
	}
	slices.SortFunc(names, compareUTF16)
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		// The error only reports ill-formed UTF-8, which is replaced.
		out, _ = jsontext.AppendQuote(out, name)
		out = append(out, ':')
		out, _ = jsontext.AppendQuote(out, metadata[name])
	}
	return append(out, '}')
}

// compareUTF16 orders strings as JavaScript does. That differs from the order of UTF-8
// only in that U+E000 to U+FFFF come after what needs a surrogate pair.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			if (ra > 0xFFFF) != (rb > 0xFFFF) && min(ra, rb) >= 0xE000 {
				return int(rb - ra)
			}
			return int(ra - rb)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

func hexSum(data []byte) string {
	const digits = "0123456789abcdef"
	sum := sha2.Sum256(data)
	out := make([]byte, 0, 64)
	for _, b := range sum {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}
