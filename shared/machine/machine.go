// Package machine makes the machine id that a license is bound to from what the
// system reports about itself. It reads nothing. The caller captures files, a
// command's output, a registry value or the host name, and the same capture
// gives the same machine id on every system.
//
// Customers' licenses are already bound to ids that other software made, so each
// scheme repeats an existing program byte for byte:
//
//   - [NodeMachineID]: machineIdSync() of the npm package node-machine-id 1.1.12.
//   - [PythonPlatformNode]: hashlib.sha256(platform.node().encode()).hexdigest()
//     of Python 3.
//   - [AppScoped]: ProtectedID of github.com/denisbrodbeck/machineid 1.0.1.
//
// There is one deliberate difference. Where the original throws, or hashes an empty
// text, which gives the same id on every such machine, this package returns an
// [*Error] with code [CodeNoMachineID].
package machine

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Scheme names an algorithm that makes a machine id.
type Scheme string

const (
	// NodeMachineID is the SHA-256, in lowercase hex, of the system's own id, read and
	// cleaned as by the npm package node-machine-id 1.1.12.
	NodeMachineID Scheme = "node-machine-id"
	// PythonPlatformNode is the SHA-256, in lowercase hex, of the network host name,
	// Python's platform.node(). It is weak, because host names repeat and change.
	PythonPlatformNode Scheme = "python-platform-node"
	// AppScoped is the HMAC-SHA256, in lowercase hex, of the app's own id, with the
	// system's own id as the key. No two apps see the same value.
	AppScoped Scheme = "app-scoped"
)

// DefaultScheme is the scheme for callers that name none.
const DefaultScheme = NodeMachineID

// ParseScheme returns the scheme of that name. The error for any other name, including
// the empty one, is an [*Error] with code [CodeInvalidArgument].
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

// Source names where a machine id came from.
type Source string

const (
	DBus     Source = "dbus"     // /var/lib/dbus/machine-id
	Etc      Source = "etc"      // /etc/machine-id
	HostName Source = "hostname" // the network host name
	IOReg    Source = "ioreg"    // macOS's IOPlatformUUID
	Registry Source = "registry" // Windows' MachineGuid
)

// MaxReading is how many bytes of one source are used at most. node-machine-id gets its
// text from a child process, whose output Node limits to the same size. A capture
// needs no more than one byte beyond it.
const MaxReading = 1 << 20

// A Reading is what was read from one source. Both fields are set if reading failed
// midway. The zero value is a source that was read and is empty.
type Reading struct {
	Bytes []byte
	// Err says in a few words, without the source's name, why the source could not be
	// read to its end. It is empty if it could.
	Err string
}

// Captured is what was read from a system. Only the sources that this system and the
// scheme use need to be set.
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

// A Raw is a system's own id, before a scheme hashes it. It identifies the machine to
// everyone who sees it, so don't pass it on.
type Raw struct {
	// Value is not empty. With [NodeMachineID] it is what
	// machineIdSync({original: true}) returns.
	Value  string
	Source Source
	// Warnings are sentences that say why the value is less unique or less lasting
	// than it should be.
	Warnings []string
}

// An ID is a machine id, and how it was made.
type ID struct {
	// ID is 64 lowercase hexadecimal digits.
	ID     string `json:"id"`
	Scheme Scheme `json:"scheme"`
	Source Source `json:"source"`
	// Warnings are sentences that say why the id is less unique or less lasting than
	// it should be. Warnings is never nil.
	Warnings []string `json:"warnings"`
}

// ID makes the machine id of the captured system with a scheme. [AppScoped] needs an
// appID that is not empty. The other schemes ignore an appID, and add a warning. The
// error is an [*Error].
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

// Raw returns the text that a scheme hashes or uses as its key. The error is an
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
