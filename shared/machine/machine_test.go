package machine_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
)

func TestParseScheme(t *testing.T) {
	for _, name := range []string{"node-machine-id", "python-platform-node", "app-scoped"} {
		s, err := machine.ParseScheme(name)
		require.NoError(t, err)
		assert.Equal(t, machine.Scheme(name), s)
	}
	for _, name := range []string{"", "Node-Machine-Id", "node-machine-id ", strings.Repeat("x", 1000), "a\x1b[31m\"\n\xff"} {
		_, err := machine.ParseScheme(name)
		var e *machine.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, machine.CodeInvalidArgument, e.Code)
		assert.Contains(t, e.Message, "use node-machine-id, python-platform-node or app-scoped")
		assert.Less(t, len(e.Message), 200)
		assert.NotContains(t, e.Message, "\x1b")
	}
}

func TestAppScopedNeedsAnAppID(t *testing.T) {
	c := machine.Captured{OS: "linux", DBus: machine.Reading{Bytes: []byte("abc\n")}}
	_, err := c.ID(machine.AppScoped, "")
	var e *machine.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, machine.CodeInvalidArgument, e.Code)
	assert.Contains(t, e.Message, "needs an app id")
}

// Node gives a child process's output up past 1 MiB, so that is where
// node-machine-id ends.
func TestMaxReading(t *testing.T) {
	long := func(n int) machine.Reading { return machine.Reading{Bytes: bytes.Repeat([]byte("a"), n)} }
	line := func(n int) machine.Reading {
		return machine.Reading{Bytes: append(bytes.Repeat([]byte("a"), n-1), '\n')}
	}
	for _, test := range []struct {
		name    string
		scheme  machine.Scheme
		c       machine.Captured
		tooLong bool
	}{
		{"line that fits", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: line(machine.MaxReading)}, false},
		{"line that doesn't", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: line(machine.MaxReading + 1)}, true},
		{"no newline, fits", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: long(machine.MaxReading)}, false},
		{"no newline, doesn't", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: long(machine.MaxReading + 1)}, true},
		{"runs on, doesn't", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: long(machine.MaxReading), Etc: line(2)}, true},
		{"long after the first line", machine.NodeMachineID, machine.Captured{OS: "linux", DBus: line(3), Etc: long(machine.MaxReading + 1)}, false},
		{"ioreg", machine.NodeMachineID, machine.Captured{OS: "darwin", IOReg: long(machine.MaxReading + 1)}, true},
		{"registry", machine.NodeMachineID, machine.Captured{OS: "windows", MachineGUID: long(machine.MaxReading + 1)}, true},
		{"host name", machine.PythonPlatformNode, machine.Captured{OS: "linux", HostName: long(machine.MaxReading + 1)}, true},
		{"app, dbus", machine.AppScoped, machine.Captured{OS: "linux", DBus: long(machine.MaxReading + 1), Etc: line(3)}, true},
		{"app, etc", machine.AppScoped, machine.Captured{OS: "linux", Etc: long(machine.MaxReading + 1)}, true},
		{"app, ioreg", machine.AppScoped, machine.Captured{OS: "darwin", IOReg: long(machine.MaxReading + 1)}, true},
		{"app, registry", machine.AppScoped, machine.Captured{OS: "windows", MachineGUID: long(machine.MaxReading + 1)}, true},
		{"app, registry, fits", machine.AppScoped, machine.Captured{OS: "windows", MachineGUID: long(machine.MaxReading)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, err := test.c.ID(test.scheme, "app")
			if !test.tooLong {
				require.NoError(t, err)
				assert.Len(t, id.ID, 64)
				return
			}
			var e *machine.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, machine.CodeNoMachineID, e.Code)
			assert.Contains(t, e.Message, "longer than 1 MiB")
		})
	}
}

func TestKnownBadIDsWithoutDashes(t *testing.T) {
	for _, raw := range []string{
		"03000200040005000006000700080009", "00000000-0000-0000-0000-000000000000",
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "Uninitialized",
	} {
		for _, scheme := range []machine.Scheme{machine.NodeMachineID, machine.AppScoped} {
			c := machine.Captured{OS: "windows", MachineGUID: machine.Reading{Bytes: []byte(raw)}}
			r, err := c.Raw(scheme)
			require.NoError(t, err)
			assert.Len(t, r.Warnings, 1, raw)
		}
	}
	c := machine.Captured{OS: "windows", MachineGUID: machine.Reading{Bytes: []byte("0f0f0f0f-ffff-0000-0000-000000000000")}}
	r, err := c.Raw(machine.NodeMachineID)
	require.NoError(t, err)
	assert.Empty(t, r.Warnings)
}

// The capture belongs to the caller, who may use it again.
func TestCaptureIsLeftAlone(t *testing.T) {
	for _, v := range vectors(t) {
		c, same := v.captured(), v.captured()
		_, _ = c.ID(machine.Scheme(v.Scheme), v.AppID)
		require.Equal(t, same, c, v.name)
	}
}
