package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows/registry"
)

// What the browsers read: each one's key in the user's registry, and the manifest that it
// names, whose path leads to the program.
func TestHelperInTheRegistry(t *testing.T) {
	home := tempDir(t)
	t.Cleanup(func() { helperOf(t, home, "uninstall-helper") })
	_, stderr, code := helperOf(t, home, "install-helper", "--browser=chrome", "--browser=chromium", "--browser=edge", "--browser=brave", "--browser=firefox")
	require.Zero(t, code, stderr)
	for parent, host := range map[string]string{
		`Software\Google\Chrome\NativeMessagingHosts`:  "com.whop_license." + genericID,
		`Software\Chromium\NativeMessagingHosts`:       "com.whop_license." + genericID,
		`Software\Microsoft\Edge\NativeMessagingHosts`: "com.whop_license." + genericID,
		`Software\Mozilla\NativeMessagingHosts`:        "com.whop_license.helper_whop_license",
	} {
		key, err := registry.OpenKey(registry.CURRENT_USER, parent+`\`+host, registry.QUERY_VALUE)
		require.NoError(t, err, parent)
		path, kind, err := key.GetStringValue("")
		key.Close()
		require.NoError(t, err)
		assert.EqualValues(t, registry.SZ, kind)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		var manifest struct{ Name, Path, Type string }
		require.NoError(t, json.Unmarshal(text, &manifest))
		assert.Equal(t, host, manifest.Name)
		assert.Equal(t, "stdio", manifest.Type)
		assert.FileExists(t, manifest.Path)
	}

	_, _, code = helperOf(t, home, "uninstall-helper")
	require.Zero(t, code)
	_, err := registry.OpenKey(registry.CURRENT_USER, `Software\Mozilla\NativeMessagingHosts\com.whop_license.helper_whop_license`, registry.QUERY_VALUE)
	assert.ErrorIs(t, err, registry.ErrNotExist)
	parent, err := registry.OpenKey(registry.CURRENT_USER, `Software\Mozilla\NativeMessagingHosts`, registry.QUERY_VALUE)
	require.NoError(t, err, "the key above it may be of use to others")
	parent.Close()
}
