package machine_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/whop-license/whop-license/shared/machine"
)

// emptyHash is what the originals answer where they found nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var someID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkCapture holds what is true of every capture: an identifier, or an error
// that says what was tried; never both, and never the identifier of nothing.
func checkCapture(t *testing.T, c machine.Captured) {
	t.Helper()
	for _, scheme := range []machine.Scheme{machine.NodeMachineID, machine.PythonPlatformNode, machine.AppScoped} {
		id, err := c.ID(scheme, "app")
		raw, rawErr := c.Raw(scheme)
		if (err == nil) != (rawErr == nil) {
			t.Fatalf("%s: ID says %v, Raw says %v", scheme, err, rawErr)
		}
		if err != nil {
			var e *machine.Error
			if !errors.As(err, &e) || e.Code != machine.CodeNoMachineID || len(e.Tried) == 0 {
				t.Fatalf("%s: %#v", scheme, err)
			}
			continue
		}
		if !someID.MatchString(id.ID) || id.ID == emptyHash || raw.Value == "" || id.Source == "" || id.Warnings == nil {
			t.Fatalf("%s: %#v from %#v", scheme, id, raw)
		}
		if scheme == machine.NodeMachineID {
			if !utf8.ValidString(raw.Value) || strings.ContainsAny(raw.Value, " \t\r\n\v\f\u00a0\ufeff") ||
				strings.ContainsAny(raw.Value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
				t.Fatalf("not clean: %q", raw.Value)
			}
		}
	}
}

func FuzzLinux(f *testing.F) {
	for _, v := range vectors(f) {
		c := v.captured()
		f.Add(c.DBus.Bytes, c.DBus.Err, c.Etc.Bytes, c.Etc.Err, c.HostName.Bytes)
	}
	f.Fuzz(func(t *testing.T, dbus []byte, dbusErr string, etc []byte, etcErr string, host []byte) {
		checkCapture(t, machine.Captured{
			OS:       "linux",
			DBus:     machine.Reading{Bytes: dbus, Err: dbusErr},
			Etc:      machine.Reading{Bytes: etc, Err: etcErr},
			HostName: machine.Reading{Bytes: host},
		})
	})
}

func FuzzDarwin(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.captured().IOReg.Bytes)
	}
	f.Fuzz(func(t *testing.T, ioreg []byte) {
		checkCapture(t, machine.Captured{OS: "darwin", IOReg: machine.Reading{Bytes: ioreg}})
	})
}

func FuzzWindows(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.captured().MachineGUID.Bytes)
	}
	f.Fuzz(func(t *testing.T, guid []byte) {
		checkCapture(t, machine.Captured{OS: "windows", MachineGUID: machine.Reading{Bytes: guid}})
	})
}

func FuzzHostName(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.captured().HostName.Bytes)
	}
	f.Fuzz(func(t *testing.T, host []byte) {
		gone := machine.Reading{Err: "gone"}
		checkCapture(t, machine.Captured{OS: "linux", DBus: gone, Etc: gone, HostName: machine.Reading{Bytes: host}})
	})
}
