package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The documentation's page of settings has each flag, with its default, and no other.
func TestEverySettingIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../web/docs/settings.md")
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| (`--.*?) \\| (.*?) \\|")
	flag := regexp.MustCompile("`--([a-z-]+)`")
	defaults := map[string]string{}
	for _, cells := range row.FindAllStringSubmatch(string(page), -1) {
		for _, name := range flag.FindAllStringSubmatch(cells[1], -1) {
			defaults[name[1]] = strings.ReplaceAll(cells[2], "`", "")
		}
	}
	parser, err := kong.New(&settings{})
	require.NoError(t, err)
	for _, f := range parser.Model.Flags {
		if f.Name == "help" || f.Name == "version" {
			continue
		}
		documented, ok := defaults[f.Name]
		assert.True(t, ok, "--%s is not in settings.md", f.Name)
		delete(defaults, f.Name)
		if f.Default != "" {
			assert.Equal(t, f.Default, documented, "the default of --%s", f.Name)
		}
	}
	assert.Empty(t, defaults, "there are no such flags")
}
