package whop

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"The API key lacks the permission member:manage":       "The API key lacks the permission member:manage",
		`missing "member:basic:read"`:                          `missing "member:basic:read"`,
		"not allowed from this IP 192.0.2.7":                   "not allowed from this IP 192.0.2.7",
		"no access to mem_AbC123 of user_x9":                   "no access to mem_… of user_…",
		"sold to jane.doe@example.com, call +1 (555) 123-4567": "sold to [address], call [number]",
		`user "Jane Doe" and “Jane”, 'Jane'`:                   "user […] and […], […]",
		"username: jane":                                       "username: […]",
		"the key a1b2-SECRET-c3 is unknown":                    "the key […] is unknown",
		"two\r\nlines\t\x1b[31mred\u202e":                      "two lines [31mred?",
		"token " + strings.Repeat("x", 40):                     "token […]",
		"Bearer APIKEY":                                        "Bearer […]",
		"can't be done, isn't it":                              "can't be done, isn't it",
		strings.Repeat("ä ", maxSaid):                          strings.Repeat("ä ", maxSaid/2) + "…",
		"invalid \xff":                                         "invalid ?",
		"See https://docs.whop.com/api-reference/getting":      "See https://docs.whop.com/api-reference/getting",
	} {
		got := scrub(without(text, []string{"A1B2-secret-C3", "apikey", "", " "}, "[…]"))
		assert.Equal(t, strings.Join(strings.Fields(want), " "), strings.Join(strings.Fields(got), " "), text)
	}
}
