package main

import (
	"github.com/denisbrodbeck/machineid"

	"github.com/whop-license/whop-license/shared/machine"
)

// A system reads what the machine says of itself.
type system struct{}

func newSystem() *system { return &system{} }

func (s *system) capture(scheme machine.Scheme) machine.Captured {
	c := machine.Captured{OS: "windows"}
	if scheme == machine.PythonPlatformNode {
		c.HostName = hostName()
		return c
	}
	// This reads MachineGuid from the registry's 64-bit view, unchanged.
	value, err := machineid.ID()
	c.MachineGUID.Bytes = []byte(value)
	if err != nil {
		c.MachineGUID.Err = err.Error()
	}
	return c
}
