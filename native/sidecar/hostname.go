package main

import (
	"os"

	"github.com/whop-license/whop-license/shared/machine"
)

// hostName returns the same name as hostname(1), uname(2) and Python's
// platform.node().
func hostName() machine.Reading {
	name, err := os.Hostname()
	if err != nil {
		return machine.Reading{Err: err.Error()}
	}
	return machine.Reading{Bytes: []byte(name)}
}
