package main

import (
	"golang.org/x/sys/windows/registry"

	"github.com/whop-license/whop-license/shared/machine"
)

// A system reads what the machine reports about itself.
type system struct{}

func newSystem() *system { return &system{} }

func (s *system) capture(scheme machine.Scheme) machine.Captured {
	c := machine.Captured{OS: "windows"}
	if scheme == machine.PythonPlatformNode {
		c.HostName = hostName()
		return c
	}
	value, err := machineGUID(scheme)
	c.MachineGUID.Bytes = []byte(value)
	if err != nil {
		c.MachineGUID.Err = err.Error()
	}
	return c
}

// machineGUID reads MachineGuid from the registry's 64-bit view, unchanged. If
// it is of type REG_EXPAND_SZ, which Windows itself never uses for it,
// node-machine-id finds no id, but machineid, which app-scoped repeats, uses it
// unexpanded.
func machineGUID(scheme machine.Scheme) (string, error) {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "", err
	}
	defer key.Close()
	value, kind, err := key.GetStringValue("MachineGuid")
	if err != nil {
		return "", err
	}
	if scheme == machine.NodeMachineID && kind != registry.SZ {
		return "", registry.ErrUnexpectedType
	}
	return value, nil
}
