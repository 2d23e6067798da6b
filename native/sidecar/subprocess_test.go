//go:build unix

package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/shared/machine"
)

func TestOutput(t *testing.T) {
	sh := func(timeout time.Duration, script string) machine.Reading {
		return output(timeout, "/bin/sh", "-c", script)
	}
	assert.Equal(t, machine.Reading{Bytes: []byte("a\nb\n")}, sh(time.Minute, "echo a; echo b; echo c >&2"))
	assert.Equal(t, machine.Reading{Bytes: []byte("a\n"), Err: "exit status 3"}, sh(time.Minute, "echo a; exit 3"))
	assert.Empty(t, sh(time.Minute, "cat"), "no input to wait for")

	exact := sh(time.Minute, "head -c 1048576 /dev/zero")
	assert.Empty(t, exact.Err)
	assert.Len(t, exact.Bytes, machine.MaxReading)
	flood := sh(time.Minute, "cat /dev/zero")
	assert.Equal(t, "printed more than 1 MiB", flood.Err)
	assert.LessOrEqual(t, len(flood.Bytes), machine.MaxReading)

	assert.Equal(t, "took longer than 1ms", sh(time.Millisecond, "exec sleep 600").Err)
	assert.Contains(t, sh(time.Minute, "sleep 5 &").Err, "WaitDelay", "a child that keeps the output open is not waited for")

	missing := output(time.Minute, filepath.Join(t.TempDir(), "ioreg"))
	assert.Equal(t, machine.Reading{Err: "no such file or directory"}, missing)
}
