package machine

import "strings"

// Code is the stable name of a kind of error.
type Code string

const (
	// CodeNoMachineID says that the system has no id.
	CodeNoMachineID Code = "no_machine_id"
	// CodeInvalidArgument says that the scheme or the app id is wrong.
	CodeInvalidArgument Code = "invalid_argument"
)

// An Error says why there is no machine id.
type Error struct {
	Code Code
	// Message says what happened and what to do next.
	Message string
	// Tried lists each source that was tried and what was wrong with it, if Code is
	// CodeNoMachineID.
	Tried []string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// noMachineID returns the error for a system without an id. next says what to do.
func noMachineID(next string, tried ...string) error {
	return &Error{
		Code:    CodeNoMachineID,
		Message: "this machine has no id (" + strings.Join(tried, "; ") + "): " + next,
		Tried:   tried,
	}
}

const (
	nextLinux   = "create one with `systemd-machine-id-setup` or `dbus-uuidgen --ensure=/etc/machine-id`, as root, and try again"
	nextDarwin  = "check that `/usr/sbin/ioreg -rd1 -c IOPlatformExpertDevice` prints an IOPlatformUUID and that nothing keeps this program from running it"
	nextWindows = `check that the registry key HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Cryptography has a value MachineGuid and that this user may read it`
	nextHost    = "give this machine a host name and try again"
	nextOther   = "machine ids are known on Linux, macOS and Windows only"
)

// tried says what was wrong with a source that gave no id.
func (r Reading) tried(name string) string {
	switch {
	case r.Err != "":
		return name + ": " + r.Err
	case len(r.Bytes) == 0:
		return name + ": empty"
	}
	return name + ": no id in it"
}

// quote returns a name that came from outside, shortened and harmless in a terminal or
// a log.
func quote(s string) string {
	const most = 40
	shown := []rune{}
	for _, r := range s {
		if len(shown) == most {
			shown = append(shown, '…')
			break
		}
		if r < ' ' || r == '"' || r == '\\' || r >= 0x7f {
			r = '?'
		}
		shown = append(shown, r)
	}
	return `"` + string(shown) + `"`
}
