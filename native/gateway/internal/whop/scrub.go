package whop

import (
	"regexp"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/logtext"
)

// maxSaid bounds how many characters of Whop's own message are logged.
const maxSaid = 300

var personal = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`[^\s"'<>(),;:]+@[^\s"'<>(),;:]+`), "[address]"},
	{regexp.MustCompile(`\b(mem|user|mber|pay|apik|whsec|sk|pk)_[A-Za-z0-9_-]+`), "${1}_…"},
	{regexp.MustCompile(`\+\d[\d ().-]{6,}\d`), "[number]"},
	{regexp.MustCompile(`(?i)\b(username|name|phone)(\s*[:=]\s*)\S+`), "$1$2[…]"},
	{regexp.MustCompile(`[A-Za-z0-9_+/=-]{33,}`), "[…]"},
}

var (
	quoted     = regexp.MustCompile(`"[^"]*"|“[^”]*”|(^|[\s(])'[^']*'`)
	permission = regexp.MustCompile(`^\s*["“']([a-z]+(:[a-z_]+)+|\d{4}-\d{2}-\d{2}(-\d{1,3})?)["”']$`)
)

// scrub makes a message from Whop, without the secrets, safe for a log. It removes
// what may be personal data or identify a license. It keeps a quotation only if it
// is a permission's name or a version.
func scrub(text string) string {
	text = quoted.ReplaceAllStringFunc(text, func(q string) string {
		if permission.MatchString(q) {
			return q
		}
		return " […]"
	})
	for _, p := range personal {
		text = p.pattern.ReplaceAllString(text, p.instead)
	}
	return logtext.Fit(text, maxSaid)
}

// wordLength is the length from which a secret is unlikely to be part of
// another word by chance. A shorter one is removed only as a whole word.
const wordLength = 8

// without replaces secrets in a text, ignoring case.
func without(text string, secrets []string, instead string) string {
	for _, s := range secrets {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		pattern := `(?i)()` + regexp.QuoteMeta(s) + `()`
		if len(s) < wordLength {
			pattern = `(?i)(^|[^\pL\pN])` + regexp.QuoteMeta(s) + `([^\pL\pN]|$)`
		}
		if found, err := regexp.Compile(pattern); err == nil { // a key is Unicode, so it always is
			text = found.ReplaceAllString(text, "${1}"+instead+"${2}")
		}
	}
	return text
}
