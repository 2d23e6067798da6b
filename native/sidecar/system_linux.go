package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/whop-license/whop-license/shared/machine"
)

// A system reads what the machine reports about itself. It reads the files
// itself and not with denisbrodbeck/machineid, which reads without a limit, can
// hang, and accepts an empty file as an id.
type system struct{ root string }

func newSystem() *system { return &system{root: "/"} }

func (s *system) capture(scheme machine.Scheme) machine.Captured {
	c := machine.Captured{OS: "linux"}
	if scheme != machine.PythonPlatformNode {
		c.DBus = readFile(filepath.Join(s.root, "var/lib/dbus/machine-id"))
		c.Etc = readFile(filepath.Join(s.root, "etc/machine-id"))
	}
	if scheme != machine.AppScoped {
		c.HostName = hostName()
	}
	return c
}

// readFile reads as much of a file as is needed. With O_NONBLOCK, opening a
// pipe without a writer doesn't block.
func readFile(path string) machine.Reading {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return machine.Reading{Err: reason(err)}
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return machine.Reading{Err: reason(err)}
	} else if info.Mode()&fs.ModeNamedPipe != 0 {
		return machine.Reading{Err: "a pipe, not a file"}
	}
	b, err := io.ReadAll(io.LimitReader(file, machine.MaxReading+1))
	r := machine.Reading{Bytes: b}
	if err != nil {
		r.Err = reason(err)
	}
	return r
}

// reason returns what went wrong without the name of the file.
func reason(err error) string {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}
