package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sourcegraph/jsonrpc2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
	"github.com/whop-license/whop-license/shared/version"
)

const askInitialize = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocol":1}}`

var initialized = fmt.Sprintf(`{"jsonrpc":"2.0","id":"hello","result":{"name":"whop-license-sidecar","version":%q,"protocol":1}}`, version.Version)

func askMachineID(id int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"machineId","params":{}}`, id)
}

// checkMachineID checks the answer to askMachineID(id) on this machine.
func checkMachineID(t *testing.T, id int, message string) {
	t.Helper()
	captured := newSystem().capture(machine.NodeMachineID)
	want, err := captured.ID(machine.NodeMachineID, "")
	require.NoError(t, err)
	result, err := json.Marshal(want)
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, id, result), message)
}

func TestInitialize(t *testing.T) {
	p := start(t)
	p.write(frame(askInitialize))
	assert.JSONEq(t, initialized, p.read())
	p.write(frame(askMachineID(2)))
	checkMachineID(t, 2, p.read())
	p.stdin.Close()
	code, rest := p.end()
	assert.Zero(t, code)
	assert.Empty(t, rest)
	assert.Empty(t, p.stderr.String())
}

func TestMachineIDBeforeInitialize(t *testing.T) {
	p := start(t)
	p.write(frame(askMachineID(1)))
	checkMachineID(t, 1, p.read())
}

func TestNativeMessaging(t *testing.T) {
	p := start(t, "chrome-extension://offoegjegfabemlkpiapnfdlhpliipni/", "--parent-window=1")
	p.write(frame(askInitialize))
	assert.JSONEq(t, initialized, p.read())
}

func TestSplitFrames(t *testing.T) {
	p := start(t)
	for i := range 3 {
		for _, b := range frame(askMachineID(i)) {
			p.write([]byte{b})
		}
		checkMachineID(t, i, p.read())
	}
}

func TestMergedFrames(t *testing.T) {
	p := start(t)
	var all []byte
	for i := range 20 {
		all = append(all, frame(askMachineID(i))...)
	}
	last := frame(askMachineID(20))
	p.write(append(all, last[:9]...))
	for i := range 20 {
		checkMachineID(t, i, p.read())
	}
	p.write(last[9:])
	checkMachineID(t, 20, p.read())
}

func TestLongestFrame(t *testing.T) {
	p := start(t)
	p.write(frame(askMachineID(1) + strings.Repeat(" ", maxFrame-len(askMachineID(1)))))
	checkMachineID(t, 1, p.read())
}

// The input stays open: the process must not wait for as many bytes as the
// length announces.
func TestFrameTooLong(t *testing.T) {
	for _, size := range []uint32{maxFrame + 1, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 1, binary.LittleEndian.Uint32([]byte(`{"js`))} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := start(t)
			p.write(frame(askMachineID(1)))
			p.write(binary.LittleEndian.AppendUint32(nil, size))
			checkMachineID(t, 1, p.read())
			a := parseAnswer(t, p.read())
			assert.Equal(t, "null", string(a.ID))
			require.NotNil(t, a.Error)
			assert.Equal(t, jsonrpc2.CodeParseError, a.Error.Code)
			assert.Contains(t, a.Error.Message, fmt.Sprintf("its length says %d bytes, and the limit is 65536", size))
			code, rest := p.end()
			assert.Equal(t, 1, code)
			assert.Empty(t, rest)
			assert.Contains(t, p.stderr.String(), "frame too long")
		})
	}
}

func TestTruncatedFrame(t *testing.T) {
	whole := frame(askMachineID(2))
	for _, test := range []struct {
		end    []byte
		stderr string
	}{
		{whole[:1], "after 1 of 4 bytes"},
		{whole[:3], "after 3 of 4 bytes"},
		{whole[:4], fmt.Sprintf("after 0 of %d bytes", len(whole)-4)},
		{whole[:len(whole)-1], fmt.Sprintf("after %d of %d bytes", len(whole)-5, len(whole)-4)},
	} {
		t.Run(test.stderr, func(t *testing.T) {
			p := start(t)
			p.write(append(frame(askMachineID(1)), test.end...))
			p.stdin.Close()
			checkMachineID(t, 1, p.read())
			code, rest := p.end()
			assert.Equal(t, 1, code)
			assert.Empty(t, rest)
			assert.Contains(t, p.stderr.String(), test.stderr)
		})
	}
}

// Whatever a well-formed frame contains, the next one is answered.
func TestGoesOnAfterBadMessages(t *testing.T) {
	p := start(t)
	for i, test := range messages {
		p.write(frame(test.message))
		if test.code != 0 {
			a := parseAnswer(t, p.read())
			if assert.NotNil(t, a.Error, test.message) {
				assert.Equal(t, test.code, a.Error.Code, test.message)
			}
		}
		p.write(frame(askMachineID(i)))
		checkMachineID(t, i, p.read())
	}
}

// A thousand at a time would do to find a lock; ten thousand also fill every
// pipe between the two processes many times over.
func TestTenThousandInFlight(t *testing.T) {
	const n = 10_000
	p := start(t)
	written := make(chan error, 1)
	go func() {
		var all []byte
		for i := range n {
			all = append(all, frame(askMachineID(i))...)
		}
		_, err := p.stdin.Write(all)
		written <- err
	}()
	want := parseAnswer(t, p.read()).Result
	for i := 1; i < n; i++ {
		a := parseAnswer(t, p.read())
		require.Equal(t, fmt.Sprint(i), string(a.ID), "answers come in the order of the requests")
		require.Equal(t, string(want), string(a.Result))
	}
	require.NoError(t, <-written)
	assertModestMemory(t, p.cmd.Process.Pid)
	p.stdin.Close()
	code, rest := p.end()
	assert.Zero(t, code)
	assert.Empty(t, rest)
}

// Every request that came before the end of input is answered.
func TestClosedInput(t *testing.T) {
	p := start(t)
	const n = 100
	for i := range n {
		p.write(frame(askMachineID(i)))
	}
	p.stdin.Close()
	for i := range n {
		checkMachineID(t, i, p.read())
	}
	code, rest := p.end()
	assert.Zero(t, code)
	assert.Empty(t, rest)
	assert.Empty(t, p.stderr.String())
}

func TestClosedOutput(t *testing.T) {
	p := start(t)
	p.write(frame(askMachineID(1)))
	checkMachineID(t, 1, p.read())
	require.NoError(t, p.stdout.Close())
	p.write(frame(askMachineID(2)))
	// The input stays open: the failure to write is what ends the process.
	assert.Error(t, p.cmd.Wait())
	assert.Equal(t, 1, p.cmd.ProcessState.ExitCode(), "not killed by a signal")
	assert.Contains(t, p.stderr.String(), "can't write a response")
}

// A killed sidecar leaves complete frames and then the end of the stream, which
// is all that a client needs to fail its calls and start another.
func TestKilled(t *testing.T) {
	p := start(t)
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ; i++ {
			if _, err := p.stdin.Write(frame(askMachineID(i))); err != nil {
				return
			}
		}
	})
	checkMachineID(t, 0, p.read())
	require.NoError(t, p.cmd.Process.Kill())
	for i := 1; ; i++ {
		message, err := readFrame(p.in)
		if err != nil {
			assert.ErrorIs(t, err, io.EOF)
			break
		}
		checkMachineID(t, i, message)
	}
	assert.Error(t, p.cmd.Wait())
	writing.Wait()

	again := start(t)
	again.write(frame(askMachineID(1)))
	checkMachineID(t, 1, again.read())
}

// Another JSON-RPC library, as a client, with calls from many goroutines.
func TestOtherClient(t *testing.T) {
	p := start(t)
	conn := jsonrpc2.NewConn(context.Background(), clientStream{p}, nil)
	defer conn.Close()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			var id machine.ID
			assert.NoError(t, conn.Call(context.Background(), "machineId", map[string]string{"scheme": "app-scoped", "appId": "a"}, &id))
			assert.Len(t, id.ID, 64)
			assert.NoError(t, conn.Notify(context.Background(), "machineId", nil))
			var e *jsonrpc2.Error
			if assert.ErrorAs(t, conn.Call(context.Background(), "machineid", nil, nil), &e) {
				assert.EqualValues(t, jsonrpc2.CodeMethodNotFound, e.Code)
			}
		})
	}
	wg.Wait()
}

type clientStream struct{ *process }

func (s clientStream) WriteObject(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = s.stdin.Write(frame(string(b)))
	}
	return err
}

func (s clientStream) ReadObject(v any) error {
	message, err := readFrame(s.in)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(message), v)
}

func (s clientStream) Close() error { return s.stdin.Close() }
