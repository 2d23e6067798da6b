package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
)

// The subcommand returns the same id as the server.
func TestMachineIDCommand(t *testing.T) {
	for _, test := range []struct {
		args   []string
		params string
	}{
		{nil, `{}`},
		{[]string{"--scheme", "node-machine-id"}, `{"scheme":"node-machine-id"}`},
		{[]string{"--scheme=python-platform-node"}, `{"scheme":"python-platform-node"}`},
		{[]string{"--scheme", "app-scoped", "--app-id", "com.example.app"}, `{"scheme":"app-scoped","appId":"com.example.app"}`},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			server := start(t)
			server.write(frame(`{"jsonrpc":"2.0","id":1,"method":"machineId","params":` + test.params + `}`))
			result := parseAnswer(t, server.read()).Result
			var want machine.ID
			require.NoError(t, json.Unmarshal(result, &want))
			require.Len(t, want.ID, 64)

			plain := start(t, append([]string{"machine-id"}, test.args...)...)
			code, out := plain.end()
			assert.Zero(t, code)
			assert.Equal(t, want.ID+"\n", out)
			assert.Equal(t, len(want.Warnings), strings.Count(plain.stderr.String(), "warning: "))

			asJSON := start(t, append([]string{"machine-id", "--json"}, test.args...)...)
			code, out = asJSON.end()
			assert.Zero(t, code)
			assert.Equal(t, string(result)+"\n", out)
			assert.Empty(t, asJSON.stderr.String())
		})
	}
}

func TestMachineIDCommandWarns(t *testing.T) {
	shared := func(machine.Scheme) machine.Captured {
		return machine.Captured{OS: "linux", DBus: machine.Reading{Bytes: []byte("uninitialized\n")}}
	}
	var out, errs strings.Builder
	require.NoError(t, machineID(nil, &out, &errs, shared))
	assert.Regexp(t, `^[0-9a-f]{64}\n$`, out.String())
	assert.Regexp(t, `^whop-license-sidecar: warning: .*many machines share.*\n$`, errs.String())

	out.Reset()
	errs.Reset()
	require.NoError(t, machineID([]string{"--json"}, &out, &errs, shared))
	assert.Contains(t, out.String(), "many machines share")
	assert.Empty(t, errs.String())
}

func TestMachineIDCommandCannotWrite(t *testing.T) {
	var errs strings.Builder
	for _, args := range [][]string{nil, {"--json"}, {"--help"}} {
		assert.ErrorIs(t, machineID(args, full{}, &errs, fixed), errFull)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
