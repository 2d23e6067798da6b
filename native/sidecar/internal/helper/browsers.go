package helper

import (
	"path/filepath"
	"slices"
)

// Browsers are the names that --browser takes.
var Browsers = []string{"chrome", "chromium", "edge", "brave", "firefox"}

// A place is where one browser looks for native messaging hosts.
type place struct {
	browser string // one of Browsers
	name    string // for a person
	family  family
	// used is a folder that exists if this user has used the browser.
	used string
	// manifests is the folder of the manifests. On Windows it is empty, and key is the
	// registry key, below HKEY_CURRENT_USER, whose subkeys name the manifests.
	manifests, key string
	// data is the folder below which the program is copied, where the browser can see it.
	data string
	// cannot says why the browser can't start programs, or is empty.
	cannot string
}

// An Environment is the user for whom the helper is installed.
type Environment struct {
	OS     string // as Go names it
	Home   string // the user's folder
	Getenv func(string) string
	// Program is the path of the program that is installed.
	Program string
	// registry reads and writes values below HKEY_CURRENT_USER. Only Windows has one.
	registry userRegistry
}

// userRegistry is the part of Windows' registry that is used: the default values of keys.
type userRegistry interface {
	get(key string) (value string, found bool, err error)
	set(key, value string) error
	remove(key string) error
}

// variable returns an environment variable that holds an absolute path, or the default.
func (e Environment) variable(name string, standard ...string) string {
	if value := e.Getenv(name); filepath.IsAbs(value) {
		return value
	}
	return filepath.Join(append([]string{e.Home}, standard...)...)
}

func (e Environment) places() []place {
	switch e.OS {
	case "windows":
		return e.windowsPlaces()
	case "darwin":
		return e.darwinPlaces()
	}
	return slices.Concat(e.linuxPlaces(), e.flatpakPlaces(), e.snapPlaces())
}

func (e Environment) linuxPlaces() []place {
	config := e.variable("XDG_CONFIG_HOME", ".config")
	data := e.variable("XDG_DATA_HOME", ".local", "share")
	var places []place
	for _, b := range []struct{ browser, name, folder string }{
		{"chrome", "Google Chrome", "google-chrome"},
		{"chrome", "Google Chrome Beta", "google-chrome-beta"},
		{"chrome", "Google Chrome Dev", "google-chrome-unstable"},
		{"chromium", "Chromium", "chromium"},
		{"edge", "Microsoft Edge", "microsoft-edge"},
		{"edge", "Microsoft Edge Beta", "microsoft-edge-beta"},
		{"edge", "Microsoft Edge Dev", "microsoft-edge-dev"},
		{"brave", "Brave", "BraveSoftware/Brave-Browser"},
		{"brave", "Brave Beta", "BraveSoftware/Brave-Browser-Beta"},
		{"brave", "Brave Nightly", "BraveSoftware/Brave-Browser-Nightly"},
	} {
		profile := filepath.Join(config, b.folder)
		places = append(places, place{browser: b.browser, name: b.name, used: profile,
			manifests: filepath.Join(profile, "NativeMessagingHosts"), data: data})
	}
	// From version 147 on, Firefox keeps its files in the XDG folders, unless it
	// finds its old folder.
	for _, folder := range []string{filepath.Join(e.Home, ".mozilla"), filepath.Join(config, "mozilla")} {
		places = append(places, place{browser: "firefox", name: "Firefox", family: firefox, used: folder,
			manifests: filepath.Join(folder, "native-messaging-hosts"), data: data})
	}
	return places
}

// flatpakPlaces returns the places of browsers in Flatpak's sandbox. They see
// only the app's own folder, and start the program, which needs no library, in
// their sandbox.
func (e Environment) flatpakPlaces() []place {
	var places []place
	for _, b := range []struct{ browser, name, app, folder string }{
		{"chrome", "Google Chrome (Flatpak)", "com.google.Chrome", "config/google-chrome/NativeMessagingHosts"},
		{"chromium", "Chromium (Flatpak)", "org.chromium.Chromium", "config/chromium/NativeMessagingHosts"},
		{"edge", "Microsoft Edge (Flatpak)", "com.microsoft.Edge", "config/microsoft-edge/NativeMessagingHosts"},
		{"brave", "Brave (Flatpak)", "com.brave.Browser", "config/BraveSoftware/Brave-Browser/NativeMessagingHosts"},
		{"firefox", "Firefox (Flatpak)", "org.mozilla.firefox", ".mozilla/native-messaging-hosts"},
	} {
		app := filepath.Join(e.Home, ".var", "app", b.app)
		p := place{browser: b.browser, name: b.name, used: app,
			manifests: filepath.Join(app, b.folder), data: filepath.Join(app, "data")}
		if b.browser == "firefox" {
			p.family = firefox
		}
		places = append(places, p)
	}
	return places
}

// snapPlaces returns the places of browsers in Snap's sandbox. Firefox asks the
// system's portal to start the program, and the portal looks in Firefox's usual
// folder. Chromium doesn't.
func (e Environment) snapPlaces() []place {
	snap := filepath.Join(e.Home, "snap")
	mozilla := filepath.Join(e.Home, ".mozilla")
	chromiumFolder := filepath.Join(snap, "chromium")
	return []place{
		{browser: "firefox", name: "Firefox (Snap)", family: firefox, used: filepath.Join(snap, "firefox"),
			manifests: filepath.Join(mozilla, "native-messaging-hosts"), data: e.variable("XDG_DATA_HOME", ".local", "share")},
		{browser: "chromium", name: "Chromium (Snap)", used: chromiumFolder,
			manifests: filepath.Join(chromiumFolder, "common", "chromium", "NativeMessagingHosts"),
			cannot:    "Snap doesn't let Chromium start other programs: install Chromium or another browser from its vendor's or the system's package"},
	}
}

func (e Environment) darwinPlaces() []place {
	support := filepath.Join(e.Home, "Library", "Application Support")
	var places []place
	for _, b := range []struct{ browser, name, folder string }{
		{"chrome", "Google Chrome", "Google/Chrome"},
		{"chrome", "Google Chrome Beta", "Google/Chrome Beta"},
		{"chrome", "Google Chrome Dev", "Google/Chrome Dev"},
		{"chromium", "Chromium", "Chromium"},
		{"edge", "Microsoft Edge", "Microsoft Edge"},
		{"edge", "Microsoft Edge Beta", "Microsoft Edge Beta"},
		{"edge", "Microsoft Edge Dev", "Microsoft Edge Dev"},
		{"brave", "Brave", "BraveSoftware/Brave-Browser"},
		{"brave", "Brave Beta", "BraveSoftware/Brave-Browser-Beta"},
		{"brave", "Brave Nightly", "BraveSoftware/Brave-Browser-Nightly"},
	} {
		profile := filepath.Join(support, b.folder)
		places = append(places, place{browser: b.browser, name: b.name, used: profile,
			manifests: filepath.Join(profile, "NativeMessagingHosts"), data: support})
	}
	// Firefox has its profiles in one folder, and its manifests in another.
	return append(places, place{browser: "firefox", name: "Firefox", family: firefox, used: filepath.Join(support, "Firefox"),
		manifests: filepath.Join(support, "Mozilla", "NativeMessagingHosts"), data: support})
}

// windowsPlaces has one place for all channels of a browser, which share a key. Brave
// reads Chrome's.
func (e Environment) windowsPlaces() []place {
	local := e.variable("LOCALAPPDATA", "AppData", "Local")
	roaming := e.variable("APPDATA", "AppData", "Roaming")
	const chromeKey = `Software\Google\Chrome\NativeMessagingHosts`
	return []place{
		{browser: "chrome", name: "Google Chrome", used: filepath.Join(local, "Google", "Chrome"), key: chromeKey, data: local},
		{browser: "chromium", name: "Chromium", used: filepath.Join(local, "Chromium"),
			key: `Software\Chromium\NativeMessagingHosts`, data: local},
		{browser: "edge", name: "Microsoft Edge", used: filepath.Join(local, "Microsoft", "Edge"),
			key: `Software\Microsoft\Edge\NativeMessagingHosts`, data: local},
		{browser: "brave", name: "Brave", used: filepath.Join(local, "BraveSoftware", "Brave-Browser"), key: chromeKey, data: local},
		{browser: "firefox", name: "Firefox", family: firefox, used: filepath.Join(roaming, "Mozilla", "Firefox"),
			key: `Software\Mozilla\NativeMessagingHosts`, data: local},
	}
}
