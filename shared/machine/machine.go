// Package machine turns what a system says of itself into the identifier that
// a license is bound to. It reads nothing: the caller captures the system's
// answers (files, a command's output, a registry value, the host name), and
// the same capture gives the same identifier on every system.
//
// Customers' licenses are already bound to identifiers made by other software,
// so each scheme repeats an existing program byte for byte:
//
//   - [NodeMachineID]: machineIdSync() of the npm package node-machine-id 1.1.12.
//   - [PythonPlatformNode]: hashlib.sha256(platform.node().encode()).hexdigest()
//     of Python 3.
//   - [AppScoped]: ProtectedID of github.com/denisbrodbeck/machineid 1.0.1.
//
// There is one deliberate difference: where the original would hash an empty
// text, which gives the same identifier on every such machine, or would throw,
// the answer here is an [Error] with code [CodeNoMachineID].
package machine

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Scheme names an algorithm that makes an identifier.
type Scheme string

const (
	// NodeMachineID is the lowercase hex SHA-256 of the system's machine id,
	// read and cleaned as the npm package node-machine-id 1.1.12 does.
	NodeMachineID Scheme = "node-machine-id"
	// PythonPlatformNode is the lowercase hex SHA-256 of the network host
	// name, Python's platform.node(). It is weak: host names repeat and change.
	PythonPlatformNode Scheme = "python-platform-node"
	// AppScoped is the lowercase hex HMAC-SHA256 of the app's own id, keyed by
	// the system's machine id: no two apps see the same value.
	AppScoped Scheme = "app-scoped"
)

// DefaultScheme is the scheme of a caller who names none.
const DefaultScheme = NodeMachineID

// ParseScheme returns the scheme of that name. Any other name, the empty one
// included, is an [Error] with code [CodeInvalidArgument].
func ParseScheme(name string) (Scheme, error) {
	switch s := Scheme(name); s {
	case NodeMachineID, PythonPlatformNode, AppScoped:
		return s, nil
	}
	return "", &Error{
		Code: CodeInvalidArgument,
		Message: "unknown scheme " + quote(name) + ": use " + string(NodeMachineID) + ", " +
			string(PythonPlatformNode) + " or " + string(AppScoped),
	}
}

// Source names where an identifier came from.
type Source string

const (
	DBus     Source = "dbus"     // /var/lib/dbus/machine-id
	Etc      Source = "etc"      // /etc/machine-id
	HostName Source = "hostname" // the network host name
	IOReg    Source = "ioreg"    // macOS's IOPlatformUUID
	Registry Source = "registry" // Windows' MachineGuid
)

// MaxReading is the most bytes of one source that count. node-machine-id gets
// its text through a child process whose output Node limits to the same size.
// A capture need hold no more than one byte beyond it.
const MaxReading = 1 << 20

// A Reading is what one source answered. Both fields may be set, when reading
// failed on the way; the zero value is a source that was read and is empty.
type Reading struct {
	Bytes []byte
	// Err says why the source could not be read to its end, in a few words
	// and without the source's name; it is empty where it could.
	Err string
}

// Captured is what a system answered. Only the sources of its own system and
// of the scheme asked for need to be set.
type Captured struct {
	// OS is the system, as Go names it: "linux", "darwin" or "windows".
	OS string
	// DBus and Etc are the contents of /var/lib/dbus/machine-id and
	// /etc/machine-id on Linux.
	DBus, Etc Reading
	// IOReg is the output of `ioreg -rd1 -c IOPlatformExpertDevice` on macOS.
	IOReg Reading
	// MachineGUID is the value MachineGuid of the key
	// HKLM\SOFTWARE\Microsoft\Cryptography in the registry's 64-bit view, in
	// UTF-8, on Windows.
	MachineGUID Reading
	// HostName is the network host name, without a newline.
	HostName Reading
}

// A Raw is a machine's own identifier before a scheme hashes it. It identifies
// the machine to everyone who sees it; pass it to nobody.
type Raw struct {
	// Value is not empty. Under [NodeMachineID] it equals what
	// machineIdSync({original: true}) returns.
	Value  string
	Source Source
	// Warnings says, a sentence each, why the value is less unique or less
	// lasting than it should be.
	Warnings []string
}

// An ID is the answer to which machine this is.
type ID struct {
	// ID is 64 lowercase hexadecimal digits.
	ID     string `json:"id"`
	Scheme Scheme `json:"scheme"`
	Source Source `json:"source"`
	// Warnings says, a sentence each, why the identifier is less unique or
	// less lasting than it should be. It is never nil.
	Warnings []string `json:"warnings"`
}

// ID makes the identifier of the captured system under a scheme. AppScoped
// needs a non-empty appID; under the other schemes a given appID is ignored,
// and a warning says so. The error is an [*Error].
func (c *Captured) ID(scheme Scheme, appID string) (ID, error) {
	if scheme == AppScoped && appID == "" {
		return ID{}, &Error{
			Code:    CodeInvalidArgument,
			Message: "the scheme " + string(AppScoped) + " needs an app id: give one that is your app's own and never changes",
		}
	}
	raw, err := c.Raw(scheme)
	if err != nil {
		return ID{}, err
	}
	id := ID{Scheme: scheme, Source: raw.Source, Warnings: append([]string{}, raw.Warnings...)}
	if scheme == AppScoped {
		mac := hmac.New(sha256.New, []byte(raw.Value))
		mac.Write([]byte(appID))
		id.ID = hex(mac.Sum(nil))
		return id, nil
	}
	sum := sha256.Sum256([]byte(raw.Value))
	id.ID = hex(sum[:])
	if appID != "" {
		id.Warnings = append(id.Warnings, "The app id was ignored: only the scheme "+string(AppScoped)+" uses it.")
	}
	return id, nil
}

// Raw returns the text that a scheme hashes or keys with. The error is an
// [*Error].
func (c *Captured) Raw(scheme Scheme) (Raw, error) {
	var raw Raw
	var err error
	switch scheme {
	case NodeMachineID:
		raw, err = c.nodeMachineID()
	case PythonPlatformNode:
		raw, err = c.pythonPlatformNode()
	case AppScoped:
		raw, err = c.machineID()
	default:
		_, err = ParseScheme(string(scheme))
	}
	if err != nil {
		return Raw{}, err
	}
	raw.Warnings = append(raw.Warnings, warnings(raw, scheme)...)
	return raw, nil
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	s := make([]byte, 0, 2*len(b))
	for _, c := range b {
		s = append(s, digits[c>>4], digits[c&15])
	}
	return string(s)
}
