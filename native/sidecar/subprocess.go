//go:build unix

package main

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"time"

	"github.com/whop-license/whop-license/shared/machine"
)

// output runs a program without input and returns what it printed: at most
// [machine.MaxReading] bytes, and no longer than timeout.
func output(timeout time.Duration, program string, args ...string) machine.Reading {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var out limited
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout = &out
	// The program may leave a child behind that keeps the output open. On a busy
	// machine, reading to the end takes a moment in any case.
	cmd.WaitDelay = time.Second

	err := cmd.Run()
	r := machine.Reading{Bytes: out.kept}
	var path *fs.PathError
	switch {
	case err == nil:
	case out.over:
		r.Err = "printed more than 1 MiB"
	case ctx.Err() != nil:
		r.Err = "took longer than " + timeout.String()
	case errors.As(err, &path):
		r.Err = path.Err.Error()
	default:
		r.Err = err.Error()
	}
	return r
}

// limited keeps what is written to it, and fails beyond a limit.
type limited struct {
	kept []byte
	over bool
}

func (l *limited) Write(b []byte) (int, error) {
	if len(l.kept)+len(b) > machine.MaxReading {
		l.over = true
		return 0, errors.New("too much")
	}
	l.kept = append(l.kept, b...)
	return len(b), nil
}
