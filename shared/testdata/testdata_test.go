//go:build !js

package testdata_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readers returns the tests in which a pattern's first group names folder.
func readers(t *testing.T, files, pattern, folder string) (found []string) {
	names, err := filepath.Glob(files)
	require.NoError(t, err)
	require.NotEmpty(t, names, files)
	for _, name := range names {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			if match[1] == folder {
				found = append(found, name)
			}
		}
	}
	return found
}

// A vector that no test reads proves nothing.
func TestNoOrphans(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	folders := 0
	for _, entry := range entries {
		if !entry.IsDir() {
			assert.Contains(t, []string{"README.md", "testdata.go", "testdata_test.go"}, entry.Name(), "belongs in a folder")
			continue
		}
		folders++
		folder := entry.Name()
		assert.NotEmpty(t, readers(t, "../*/*_test.go", `testdata\.Each\(\s*"(\w+)"`, folder), "no Go test of a rule reads %s", folder)
		files, err := os.ReadDir(folder)
		require.NoError(t, err)
		for _, file := range files {
			assert.True(t, strings.HasSuffix(file.Name(), ".json"), "no test reads %s/%s", folder, file.Name())
		}
	}
	assert.Positive(t, folders)
}

func TestEveryVectorSaysWhatItIs(t *testing.T) {
	files, err := filepath.Glob("*/*.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 1000)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var v struct{ About string }
		require.NoError(t, json.Unmarshal(data, &v), file)
		assert.NotEmpty(t, v.About, file)
	}
}
