package main

import (
	"time"

	"github.com/whop-license/whop-license/shared/machine"
)

// A system reads what the machine reports about itself. It runs ioreg itself
// and doesn't use denisbrodbeck/machineid, which looks for ioreg on a PATH that
// a desktop app may not have, and has no timeout.
type system struct {
	// ioreg is the output of the first run that worked. It takes milliseconds, and is
	// about the hardware, which doesn't change.
	ioreg machine.Reading
}

func newSystem() *system { return &system{} }

func (s *system) capture(scheme machine.Scheme) machine.Captured {
	c := machine.Captured{OS: "darwin"}
	if scheme == machine.PythonPlatformNode {
		c.HostName = hostName()
		return c
	}
	c.IOReg = s.ioreg
	if len(c.IOReg.Bytes) == 0 {
		c.IOReg = output(5*time.Second, "/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
		if c.IOReg.Err == "" {
			s.ioreg = c.IOReg
		}
	}
	return c
}
