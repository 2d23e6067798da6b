package logtext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFit(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "HWID": "HWID", "a\r\n\tb": "a b", "\x00\x1b": "", "\u202eevil": "?evil", "é日本": "é日本", "\xff": "?", strings.Repeat("é", 11): strings.Repeat("é", 10) + "…",
	} {
		assert.Equal(t, want, Fit(text, 10), "%q", text)
	}
	assert.Equal(t, []string{"a", "b", "…"}, FitAll([]string{"a", "b", "c"}, 2, 10))
	assert.Equal(t, []string{"a", "b"}, FitAll([]string{"a", "b"}, 2, 10))
	assert.Empty(t, FitAll(nil, 2, 10))
}
