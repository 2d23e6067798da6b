package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
)

// fixed is a machine with a fixed id.
func fixed(machine.Scheme) machine.Captured {
	id := machine.Reading{Bytes: []byte("3d1219c7c4c5404aaa1f6d2a48adfda4\n")}
	return machine.Captured{OS: "linux", DBus: id, Etc: id, HostName: machine.Reading{Bytes: []byte("box")}}
}

const (
	fixedID        = `{"id":"0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f","scheme":"node-machine-id","source":"dbus","warnings":[]}`
	fixedHostID    = `{"id":"26f8567f2569182294c3fa5b9f9cb2270b554eef628b4c149cf82a42888ff4ae","scheme":"python-platform-node","source":"hostname","warnings":[]}`
	fixedAppID     = `{"id":"951fe53c1bb3450422fab305aace8c1ffb9a0e56dcb7bf0cd09b05376906c14d","scheme":"app-scoped","source":"dbus","warnings":[]}`
	fixedIgnoredID = `{"id":"0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f","scheme":"node-machine-id","source":"dbus","warnings":["The app id was ignored: only the scheme app-scoped uses it."]}`
)

// messages are invalid requests; a code of 0 is for those that get no answer.
var messages = []struct {
	name    string
	message string
	code    int
	id      string
	text    string // part of the error's message
}{
	{"empty", ``, -32700, `null`, "one JSON text in UTF-8"},
	{"blank", ` `, -32700, `null`, ""},
	{"no JSON", `hello`, -32700, `null`, ""},
	{"cut off", `{"jsonrpc":"2.0","id":1,"method":"machineId"`, -32700, `null`, ""},
	{"two texts", `{"jsonrpc":"2.0","id":1,"method":"machineId"}{}`, -32700, `null`, ""},
	{"trailing comma", `{"jsonrpc":"2.0","id":1,"method":"machineId",}`, -32700, `null`, ""},
	{"NUL at the end", `{"jsonrpc":"2.0","id":1,"method":"machineId"}` + "\x00", -32700, `null`, ""},
	{"byte order mark", "\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"machineId"}`, -32700, `null`, ""},
	{"invalid UTF-8 in a name", "{\"jsonrpc\":\"2.0\",\"id\":1,\"\xff\":1,\"method\":\"machineId\"}", -32700, `null`, ""},
	{"invalid UTF-8 in a method", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"machineId\xc0\xaf\"}", -32700, `null`, ""},
	{"invalid UTF-8 in params", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"machineId\",\"params\":{\"appId\":\"\xed\xa0\x80\"}}", -32700, `null`, ""},
	{"lone surrogate", `{"jsonrpc":"2.0","id":"\ud800","method":"machineId"}`, -32700, `null`, ""},
	{"deep", strings.Repeat(`[`, 30_000) + strings.Repeat(`]`, 30_000), -32700, `null`, ""},

	{"batch", `[{"jsonrpc":"2.0","id":1,"method":"machineId"}]`, -32600, `null`, "batches are not supported"},
	{"empty batch", `[]`, -32600, `null`, "batches are not supported"},
	{"string", `"machineId"`, -32600, `null`, "a request must be a JSON object"},
	{"null", `null`, -32600, `null`, ""},
	{"empty object", `{}`, -32600, `null`, `jsonrpc must be "2.0"`},
	{"no version", `{"id":1,"method":"machineId"}`, -32600, `1`, `jsonrpc must be "2.0"`},
	{"version 1.0", `{"jsonrpc":"1.0","id":1,"method":"machineId"}`, -32600, `1`, ""},
	{"version as a number", `{"jsonrpc":2.0,"id":1,"method":"machineId"}`, -32600, `1`, ""},
	{"no method", `{"jsonrpc":"2.0","id":1}`, -32600, `1`, "method must be a string"},
	{"method as a number", `{"jsonrpc":"2.0","id":1,"method":1}`, -32600, `1`, ""},
	{"method null, no id", `{"jsonrpc":"2.0","method":null}`, -32600, `null`, ""},
	{"a response", `{"jsonrpc":"2.0","id":1,"result":{}}`, -32600, `1`, ""},
	{"id as an object", `{"jsonrpc":"2.0","id":{},"method":"machineId"}`, -32600, `null`, "id must be"},
	{"id as a boolean", `{"jsonrpc":"2.0","id":true,"method":"machineId"}`, -32600, `null`, ""},
	{"id as an array", `{"jsonrpc":"2.0","id":[1],"method":"machineId"}`, -32600, `null`, ""},
	{"method twice", `{"jsonrpc":"2.0","id":1,"method":"x","method":"machineId"}`, -32600, `null`, `"method" is given twice`},
	{"id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"machineId"}`, -32600, `null`, `"id" is given twice`},
	{"id twice, once escaped", `{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"machineId"}`, -32600, `null`, `"id" is given twice`},

	{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"shutdown"}`, -32601, `1`, `unknown method "shutdown": use initialize or machineId`},
	{"method in other case", `{"jsonrpc":"2.0","id":1,"method":"machineid"}`, -32601, `1`, ""},
	{"empty method", `{"jsonrpc":"2.0","id":1,"method":""}`, -32601, `1`, ""},
	{"long method", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 60_000) + `"}`, -32601, `1`, ""},

	{"params as an array", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":["node-machine-id"]}`, -32602, `1`, "params must be an object"},
	{"params null", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":null}`, -32602, `1`, ""},
	{"params as a string", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":"x"}`, -32602, `1`, ""},
	{"unknown member", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"Scheme":"app-scoped"}}`, -32602, `1`, `params has the unknown member "Scheme"; it may have scheme, appId`},
	{"member twice", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"app-scoped","scheme":"node-machine-id"}}`, -32602, `1`, `"scheme" is given twice`},
	{"scheme as a number", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":1}}`, -32602, `1`, "params.scheme must be a string"},
	{"scheme null", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":null}}`, -32602, `1`, "params.scheme must be a string"},
	{"scheme empty", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":""}}`, -32602, `1`, `unknown scheme ""`},
	{"scheme unknown", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"md5"}}`, -32602, `1`, "use node-machine-id"},
	{"app id as an object", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"app-scoped","appId":{}}}`, -32602, `1`, "params.appId must be a string"},
	{"app id missing", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"app-scoped"}}`, -32602, `1`, "needs an app id"},
	{"app id empty", `{"jsonrpc":"2.0","id":1,"method":"machineId","params":{"scheme":"app-scoped","appId":""}}`, -32602, `1`, "needs an app id"},
	{"protocol missing", `{"jsonrpc":"2.0","id":1,"method":"initialize"}`, -32602, `1`, "speaks protocol 1"},
	{"protocol as a string", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":"1"}}`, -32602, `1`, "must be a number"},
	{"protocol 2", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":2,"more":true}}`, -32602, `1`, "protocol 2 is not supported"},
	{"protocol 1.5", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1.5}}`, -32602, `1`, "which speaks protocol 1"},
	{"protocol huge", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1e999}}`, -32602, `1`, "which speaks protocol 1"},
	{"unknown member of initialize", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1,"x":1}}`, -32602, `1`, "it may have protocol"},

	{"notification", `{"jsonrpc":"2.0","method":"machineId"}`, 0, ``, ""},
	{"notification of an unknown method", `{"jsonrpc":"2.0","method":"x"}`, 0, ``, ""},
	{"notification with bad params", `{"jsonrpc":"2.0","method":"machineId","params":[]}`, 0, ``, ""},
}

func TestBadMessages(t *testing.T) {
	for _, test := range messages {
		t.Run(test.name, func(t *testing.T) {
			b, err := service{capture: fixed}.respond([]byte(test.message))
			require.NoError(t, err)
			if test.code == 0 {
				require.Nil(t, b)
				return
			}
			a := parseAnswer(t, string(b))
			require.NotNil(t, a.Error)
			assert.Equal(t, test.code, a.Error.Code)
			assert.Equal(t, test.id, string(a.ID))
			assert.Contains(t, a.Error.Message, test.text)
			assert.Less(t, len(a.Error.Message), 300)
		})
	}
}

func TestGoodMessages(t *testing.T) {
	for _, test := range []struct{ name, params, result string }{
		{"no params", ``, fixedID},
		{"empty params", `,"params":{}`, fixedID},
		{"scheme", `,"params":{"scheme":"node-machine-id"}`, fixedID},
		{"escaped", `,"params":{"\u0073cheme":"node\u002dmachine-id"}`, fixedID},
		{"member beside", `,"trace":[1]`, fixedID},
		{"host name", `,"params":{"scheme":"python-platform-node"}`, fixedHostID},
		{"app", `,"params":{"scheme":"app-scoped","appId":"com.example.app"}`, fixedAppID},
		{"app id for nothing", `,"params":{"appId":"com.example.app"}`, fixedIgnoredID},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := service{capture: fixed}.respond([]byte(`{"jsonrpc":"2.0","id":1,"method":"machineId"` + test.params + `}`))
			require.NoError(t, err)
			assert.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":`+test.result+`}`, string(b))
		})
	}
}

func TestIDsComeBackAsTheyWere(t *testing.T) {
	for _, id := range []string{
		`0`, `-1`, `1.5`, `1.0`, `1e3`, `18446744073709551616`, `1e400`, `null`, `""`, `"1"`, `"a<b>&\u2028\u00e9é\"\\\n"`, `"` + strings.Repeat("x", 60_000) + `"`,
	} {
		for _, method := range []string{"machineId", "nothing"} {
			b, err := service{capture: fixed}.respond([]byte(fmt.Sprintf(`{"method":%q,"jsonrpc":"2.0","id": %s }`, method, id)))
			require.NoError(t, err)
			a := parseAnswer(t, string(b))
			assert.Equal(t, method == "machineId", a.Error == nil)
			got := string(a.ID)
			if strings.HasPrefix(id, `"`) {
				assert.JSONEq(t, id, got)
			} else {
				assert.Equal(t, id, got)
			}
		}
	}
}

func TestProtocolIsANumber(t *testing.T) {
	for _, one := range []string{"1", "1.0", "1e0", "10e-1"} {
		b, err := service{capture: fixed}.respond([]byte(strings.Replace(askInitialize, `:1}`, `:`+one+`}`, 1)))
		require.NoError(t, err)
		assert.JSONEq(t, initialized, string(b))
	}
	b, err := service{capture: fixed}.respond([]byte(strings.Replace(askInitialize, `:1}`, `:2}`, 1)))
	require.NoError(t, err)
	assert.JSONEq(t, `{"code":"unsupported_protocol","supported":1}`, string(parseAnswer(t, string(b)).Error.Data))
}

func TestNoMachineID(t *testing.T) {
	none := func(machine.Scheme) machine.Captured {
		gone := machine.Reading{Err: "no such file or directory"}
		return machine.Captured{OS: "linux", DBus: gone, Etc: gone}
	}
	b, err := service{capture: none}.respond([]byte(askMachineID(7)))
	require.NoError(t, err)
	a := parseAnswer(t, string(b))
	require.NotNil(t, a.Error)
	assert.Equal(t, -32001, a.Error.Code)
	assert.Equal(t, "7", string(a.ID))
	assert.Contains(t, a.Error.Message, "this machine has no id")
	assert.Contains(t, a.Error.Message, "systemd-machine-id-setup")
	assert.JSONEq(t, `{"code":"no_machine_id","tried":[
		"/var/lib/dbus/machine-id: no such file or directory", "/etc/machine-id: no such file or directory", "host name: empty"]}`, string(a.Error.Data))

	var out, errs bytes.Buffer
	err = machineID(nil, &out, &errs, none)
	assert.ErrorContains(t, err, "/etc/machine-id: no such file or directory")
	assert.Empty(t, out.String())
}

// The sidecar stops reading from a peer that doesn't read its answers.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &endless{frame: frame(askMachineID(1))}
		outRead, outWrite := io.Pipe()
		served := make(chan error, 1)
		go func() { served <- service{capture: fixed}.serve(in, outWrite) }()
		synctest.Wait()
		assert.Less(t, in.n, 100_000, "bytes read while no answer was taken")

		const more = 500
		for range more {
			_, err := readFrame(outRead)
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Greater(t, in.n, more*len(in.frame))
		gone := errors.New("reader gone")
		outRead.CloseWithError(gone)
		assert.ErrorIs(t, <-served, gone)
	})
}

// endless repeats the same frame forever.
type endless struct {
	frame []byte
	n     int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		c := copy(b[n:], e.frame[e.n%len(e.frame):])
		n += c
		e.n += c
	}
	return n, nil
}

// FuzzServe checks for any input: there is no panic and no hang, the answers
// are complete frames with well-formed responses, there are no more of them
// than frames came in, and serve succeeds exactly if the input ended between
// two frames.
func FuzzServe(f *testing.F) {
	f.Add([]byte{})
	f.Add(frame(askInitialize))
	f.Add(append(frame(askMachineID(1)), frame(askInitialize)...))
	f.Add(frame(askMachineID(1))[:20])
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 'x'})
	f.Add(append(binary.LittleEndian.AppendUint32(nil, maxFrame+1), make([]byte, maxFrame+1)...))
	for _, m := range messages {
		f.Add(frame(m.message))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		frames, whole, tooLong := 0, true, false
		for rest := input; len(rest) > 0; frames++ {
			if len(rest) < 4 {
				whole = false
				break
			}
			size := int(binary.LittleEndian.Uint32(rest))
			if size > 64<<10 {
				whole, tooLong = false, true
				break
			}
			if len(rest) < 4+size {
				whole = false
				break
			}
			rest = rest[4+size:]
		}

		var out bytes.Buffer
		err := service{capture: fixed}.serve(bytes.NewReader(input), &out)
		if whole != (err == nil) {
			t.Fatalf("input whole: %t, error: %v", whole, err)
		}
		answers := 0
		for ; out.Len() > 0; answers++ {
			message, err := readFrame(&out)
			require.NoError(t, err)
			parseAnswer(t, message)
		}
		if tooLong {
			frames++
		}
		if answers > frames {
			t.Fatalf("%d answers to %d frames", answers, frames)
		}
	})
}
