package helper

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keys stands in for the Windows registry on other systems.
type keys map[string]string

func (k keys) get(key string) (string, bool, error) { value, ok := k[key]; return value, ok, nil }
func (k keys) set(key, value string) error          { k[key] = value; return nil }
func (k keys) remove(key string) error              { delete(k, key); return nil }

// tempDir returns a folder that is removed if possible: Wine can't remove a
// folder in the way that Go requests.
func tempDir(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "helper")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

// newUser returns the environment of a user who has started some browsers.
func newUser(t *testing.T, system string, used ...string) Environment {
	t.Helper()
	home := tempDir(t)
	program := filepath.Join(tempDir(t), "an app", programName(system))
	put(t, program, "the program", 0o755)
	for _, folder := range used {
		require.NoError(t, os.MkdirAll(filepath.Join(home, folder), 0o700))
	}
	return Environment{OS: system, Home: home, Program: program, registry: keys{}, Getenv: func(string) string { return "" }}
}

func put(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
}

func get(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// files lists the files below a folder.
func files(t *testing.T, folder string) []string {
	t.Helper()
	found := []string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			relative, _ := filepath.Rel(folder, path)
			found = append(found, filepath.ToSlash(relative))
		}
		return err
	}))
	return found
}

func states(entries []Entry) map[string]State {
	all := map[string]State{}
	for _, e := range entries {
		all[e.Name] = e.State
	}
	return all
}

func TestGenericIDIsThatOfTheCommittedKey(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the key's file is not there in Wine")
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(get(t, "../../../../web/extension/key.txt")))
	require.NoError(t, err)
	sum := sha256.Sum256(key)
	var id strings.Builder
	for _, b := range sum[:16] {
		id.WriteByte('a' + b>>4)
		id.WriteByte('a' + b&15)
	}
	assert.Equal(t, id.String(), chromiumID)
}

func TestParseExtension(t *testing.T) {
	for id, host := range map[string]string{
		chromiumID:                               "com.whop_license." + chromiumID,
		"helper@example.com":                     "com.whop_license.helper_example_com",
		"@helper":                                "com.whop_license._helper",
		"{01234567-89AB-cdef-0123-456789abcdef}": "com.whop_license._01234567_89ab_cdef_0123_456789abcdef_",
	} {
		e, err := ParseExtension(id)
		require.NoError(t, err)
		assert.Equal(t, host, e.Host())
	}
	for _, id := range []string{"", "helper", chromiumID + "a", strings.ToUpper(chromiumID), "../../x@y", "a@b/c", "a@b\n", strings.Repeat("a", 80) + "@b", "*"} {
		_, err := ParseExtension(id)
		assert.ErrorContains(t, err, "is not an extension id", id)
	}
}

func TestInstallOnLinux(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("manifests on Linux have Linux's paths")
	}
	user := newUser(t, "linux", ".config/google-chrome", ".config/BraveSoftware/Brave-Browser", ".mozilla", ".var/app/org.mozilla.firefox", "snap/chromium")
	entries, err := user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Google Chrome": Installed, "Brave": Installed, "Firefox": Installed,
		"Firefox (Flatpak)": Installed, "Chromium (Snap)": Unsupported}, states(entries))

	chrome, fox := "com.whop_license."+chromiumID, "com.whop_license.helper_whop_license"
	assert.ElementsMatch(t, []string{
		".config/google-chrome/NativeMessagingHosts/" + chrome + ".json",
		".config/BraveSoftware/Brave-Browser/NativeMessagingHosts/" + chrome + ".json",
		".mozilla/native-messaging-hosts/" + fox + ".json",
		".var/app/org.mozilla.firefox/.mozilla/native-messaging-hosts/" + fox + ".json",
		".local/share/whop-license/helper/" + chrome + "/manifest.json",
		".local/share/whop-license/helper/" + chrome + "/whop-license-sidecar",
		".local/share/whop-license/helper/" + fox + "/manifest.json",
		".local/share/whop-license/helper/" + fox + "/whop-license-sidecar",
		".var/app/org.mozilla.firefox/data/whop-license/helper/" + fox + "/manifest.json",
		".var/app/org.mozilla.firefox/data/whop-license/helper/" + fox + "/whop-license-sidecar",
	}, files(t, user.Home))

	program := filepath.Join(user.Home, ".local/share/whop-license/helper", chrome, "whop-license-sidecar")
	assert.JSONEq(t, `{"name":"`+chrome+`","description":"Tells whop-license's browser helper an id of this machine",
		"path":"`+program+`","type":"stdio","allowed_origins":["chrome-extension://`+chromiumID+`/"]}`,
		get(t, filepath.Join(user.Home, ".config/google-chrome/NativeMessagingHosts", chrome+".json")))
	var m manifest
	require.NoError(t, json.Unmarshal([]byte(get(t, filepath.Join(user.Home, ".mozilla/native-messaging-hosts", fox+".json"))), &m))
	assert.Equal(t, []string{"helper@whop-license"}, m.AllowedExtensions)
	assert.Nil(t, m.AllowedOrigins)
	info, err := os.Stat(program)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		assert.Equal(t, os.FileMode(0o755), info.Mode())
	}

	// Installing again changes nothing; then it repairs and updates.
	entries, err = user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Google Chrome": Unchanged, "Brave": Unchanged, "Firefox": Unchanged,
		"Firefox (Flatpak)": Unchanged, "Chromium (Snap)": Unsupported}, states(entries))
	put(t, user.Program, "the next version", 0o755)
	entries, err = user.Install(GenericExtensions(), []string{"chrome"})
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Google Chrome": Installed}, states(entries))
	assert.Equal(t, "the next version", get(t, program))
	require.NoError(t, os.Remove(program))
	assert.Equal(t, Broken, states(user.Status(GenericExtensions(), nil))["Brave"])

	// The program stays while another browser uses it.
	put(t, program, "the next version", 0o755)
	entries = user.Uninstall(GenericExtensions(), []string{"chrome"})
	assert.Equal(t, Removed, states(entries)["Google Chrome"])
	assert.FileExists(t, program)
	user.Uninstall(GenericExtensions(), nil)
	assert.Empty(t, files(t, user.Home))
	assert.NoDirExists(t, filepath.Join(user.Home, ".local/share/whop-license"))
	assert.Empty(t, user.Uninstall(GenericExtensions(), nil), "nothing is left to remove")
}

func TestInstallOnDarwin(t *testing.T) {
	support := "Library/Application Support/"
	user := newUser(t, "darwin", support+"Google/Chrome", support+"Microsoft Edge", support+"Firefox")
	entries, err := user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Google Chrome": Installed, "Microsoft Edge": Installed, "Firefox": Installed}, states(entries))
	chrome, fox := "com.whop_license."+chromiumID, "com.whop_license.helper_whop_license"
	assert.ElementsMatch(t, []string{
		support + "Google/Chrome/NativeMessagingHosts/" + chrome + ".json",
		support + "Microsoft Edge/NativeMessagingHosts/" + chrome + ".json",
		support + "Mozilla/NativeMessagingHosts/" + fox + ".json",
		support + "whop-license/helper/" + chrome + "/manifest.json",
		support + "whop-license/helper/" + chrome + "/whop-license-sidecar",
		support + "whop-license/helper/" + fox + "/manifest.json",
		support + "whop-license/helper/" + fox + "/whop-license-sidecar",
	}, files(t, user.Home))
}

func TestInstallOnWindows(t *testing.T) {
	user := newUser(t, "windows", "AppData/Local/Google/Chrome", "AppData/Local/BraveSoftware/Brave-Browser", "AppData/Roaming/Mozilla/Firefox")
	registry := keys{`Software\Google\Chrome\NativeMessagingHosts\com.example`: "theirs"}
	user.registry = registry
	entries, err := user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Google Chrome": Installed, "Brave": Unchanged, "Firefox": Installed}, states(entries))
	folder := filepath.Join(user.Home, "AppData", "Local", "whop-license", "helper")
	assert.Equal(t, keys{
		`Software\Google\Chrome\NativeMessagingHosts\com.example`:                    "theirs",
		`Software\Google\Chrome\NativeMessagingHosts\com.whop_license.` + chromiumID: filepath.Join(folder, "com.whop_license."+chromiumID, "manifest.json"),
		`Software\Mozilla\NativeMessagingHosts\com.whop_license.helper_whop_license`: filepath.Join(folder, "com.whop_license.helper_whop_license", "manifest.json"),
	}, registry)
	assert.Contains(t, entries[0].Program, ".exe")
	user.Uninstall(GenericExtensions(), nil)
	assert.Equal(t, keys{`Software\Google\Chrome\NativeMessagingHosts\com.example`: "theirs"}, registry)
	assert.Empty(t, files(t, user.Home))

	registry[`Software\Mozilla\NativeMessagingHosts\com.whop_license.helper_whop_license`] = `C:\theirs.json`
	entries, err = user.Install(GenericExtensions(), []string{"firefox"})
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Firefox": Foreign}, states(entries))
	assert.Equal(t, `C:\theirs.json`, registry[`Software\Mozilla\NativeMessagingHosts\com.whop_license.helper_whop_license`])
}

func TestNoBrowserAndNamedBrowsers(t *testing.T) {
	user := newUser(t, "linux")
	_, err := user.Install(GenericExtensions(), nil)
	assert.ErrorIs(t, err, ErrNoBrowser)
	_, err = user.Install(GenericExtensions()[:1], []string{"firefox"})
	assert.ErrorIs(t, err, ErrNoBrowser, "Firefox has no extensions of Chrome's kind")
	assert.Empty(t, files(t, user.Home))
	none, err := json.Marshal(user.Status(GenericExtensions(), nil))
	require.NoError(t, err)
	assert.Equal(t, "[]", string(none))

	entries, err := user.Install(GenericExtensions(), []string{"chromium", "firefox"})
	require.NoError(t, err)
	var manifests []string
	for _, e := range entries {
		assert.Equal(t, Installed, e.State)
		relative, _ := filepath.Rel(user.Home, filepath.Dir(e.Manifest))
		manifests = append(manifests, filepath.ToSlash(relative))
	}
	assert.Equal(t, []string{".config/chromium/NativeMessagingHosts", ".mozilla/native-messaging-hosts", ".config/mozilla/native-messaging-hosts"}, manifests,
		"both of Firefox's folders, as nobody can tell which one it will use")
}

// Files that are not the helper's are neither replaced nor removed.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	user := newUser(t, "linux", ".config/chromium")
	extension := GenericExtensions()[:1]
	host := extension[0].Host()
	path := filepath.Join(user.Home, ".config/chromium/NativeMessagingHosts", host+".json")
	good, err := manifestFor(extension[0], "/usr/bin/theirs").encode()
	require.NoError(t, err)
	for name, content := range map[string]string{
		"not JSON": "hello", "empty": "", "another program": string(good), "another name": `{"name":"x","path":"/x/` + host + `/y"}`,
		"endless": `{"name":"` + host + `","path":"/x/` + host + `/y","description":"` + strings.Repeat("x", maxManifest) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			put(t, path, content, 0o644)
			entries, err := user.Install(extension, nil)
			require.NoError(t, err)
			assert.Equal(t, map[string]State{"Chromium": Foreign}, states(entries))
			assert.Contains(t, entries[0].Message, "was left alone")
			assert.Equal(t, map[string]State{"Chromium": Foreign}, states(user.Uninstall(extension, nil)))
			assert.Equal(t, content, get(t, path))
		})
	}
	t.Run("a link", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("a link needs a right there that not everyone has")
		}
		target := filepath.Join(user.Home, "target")
		require.NoError(t, os.Remove(path))
		put(t, target, "theirs", 0o644)
		if err := os.Symlink(target, path); err != nil {
			t.Skip(err)
		}
		entries, err := user.Install(extension, nil)
		require.NoError(t, err)
		assert.Equal(t, map[string]State{"Chromium": Foreign}, states(entries))
		assert.Equal(t, "theirs", get(t, target))
	})
}

// The names of two add-ons' hosts may be the same.
func TestAnotherExtensionsManifestIsLeftAlone(t *testing.T) {
	user := newUser(t, "linux", ".mozilla")
	first, err := ParseExtension("a.b@example.com")
	require.NoError(t, err)
	second, err := ParseExtension("A_b@example.com")
	require.NoError(t, err)
	require.Equal(t, first.Host(), second.Host())
	_, err = user.Install([]Extension{first}, nil)
	require.NoError(t, err)
	entries, err := user.Install([]Extension{second}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Firefox": Foreign}, states(entries))
	require.NoError(t, os.MkdirAll(filepath.Join(user.Home, ".config/mozilla"), 0o700))
	entries, err = user.Install([]Extension{second}, nil)
	require.NoError(t, err)
	assert.Equal(t, Foreign, entries[1].State, "they would have one program in another folder of Firefox, too")
	user.Uninstall([]Extension{second}, nil)
	installed := user.Status([]Extension{first}, []string{"firefox"})
	assert.Equal(t, Installed, installed[0].State)
	assert.NoError(t, CheckCaller(installed[0].Program, first.ID))
}

func TestOtherFilesInTheFolderStay(t *testing.T) {
	user := newUser(t, "linux", ".config/chromium")
	entries, err := user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	theirs := filepath.Join(filepath.Dir(entries[0].Program), "theirs")
	put(t, theirs, "x", 0o600)
	user.Uninstall(GenericExtensions(), nil)
	relative, _ := filepath.Rel(user.Home, theirs)
	assert.Equal(t, []string{filepath.ToSlash(relative)}, files(t, user.Home))
}

func TestFailureIsTold(t *testing.T) {
	user := newUser(t, "linux", ".config/chromium")
	put(t, filepath.Join(user.Home, ".local"), "a file where a folder is needed", 0o600)
	entries, err := user.Install(GenericExtensions()[:1], nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Chromium": Failed}, states(entries))
	assert.Contains(t, entries[0].Message, "can't copy the program")
	assert.NoFileExists(t, entries[0].Manifest, "no manifest names a program that isn't there")
}

func TestAPathThatNoManifestCanNameIsTold(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems' paths are Unicode")
	}
	user := newUser(t, "linux", ".config/chromium")
	user.Home = filepath.Join(user.Home, "\xff")
	require.NoError(t, os.MkdirAll(filepath.Join(user.Home, ".config/chromium"), 0o700))
	entries, err := user.Install(GenericExtensions()[:1], nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Chromium": Failed}, states(entries))
	assert.Contains(t, entries[0].Message, "can't name the program")
}

func TestHomeMustBeAbsolute(t *testing.T) {
	for _, name := range []string{"HOME", "USERPROFILE", "home"} {
		t.Setenv(name, "relative")
	}
	_, err := Here()
	assert.ErrorContains(t, err, `must be an absolute path, but is "relative"`)
}

func TestSellersOwnHelperStandsBesideTheGeneric(t *testing.T) {
	user := newUser(t, "linux", ".config/chromium", ".mozilla")
	own, err := ParseExtension("abcdefghijklmnopabcdefghijklmnop")
	require.NoError(t, err)
	_, err = user.Install(GenericExtensions(), nil)
	require.NoError(t, err)
	entries, err := user.Install([]Extension{own}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]State{"Chromium": Installed}, states(entries), "Firefox has no extensions of Chrome's kind")
	user.Uninstall(GenericExtensions(), nil)
	assert.Equal(t, map[string]State{"Chromium": Installed}, states(user.Status([]Extension{own}, nil)))
	assert.NoError(t, CheckCaller(entries[0].Program, own.ID))
	assert.ErrorContains(t, CheckCaller(entries[0].Program, chromiumID), "it was installed for chrome-extension://abcdefghijklmnopabcdefghijklmnop/")
	assert.ErrorContains(t, CheckCaller(user.Program, own.ID), "but only "+chromiumID+" and helper@whop-license")
	assert.NoError(t, CheckCaller(user.Program, chromiumID))
}

func TestCaller(t *testing.T) {
	for _, test := range []struct {
		args []string
		id   string
		ok   bool
	}{
		{[]string{"chrome-extension://abc/"}, "abc", true},
		{[]string{"chrome-extension://abc/", "--parent-window=1"}, "abc", true},
		{[]string{"--parent-window=1", "chrome-extension://abc/"}, "abc", true},
		{[]string{"/home/x/.mozilla/native-messaging-hosts/com.whop_license.helper_whop_license.json", "helper@whop-license"}, "helper@whop-license", true},
		{[]string{`C:\x\com.whop_license.helper_whop_license\manifest.json`, "helper@whop-license"}, "helper@whop-license", true},
		{[]string{"/x/other.json", "helper@whop-license"}, "", false},
		{[]string{"--parent-window=1"}, "", false},
		{[]string{"chrome-extension://a/", "chrome-extension://b/"}, "b", false},
		{nil, "", false},
	} {
		id, ok := Caller(test.args)
		assert.Equal(t, test.ok, ok, test.args)
		if ok {
			assert.Equal(t, test.id, id)
		}
	}
}
