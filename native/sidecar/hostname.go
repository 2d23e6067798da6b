package main

import (
	"os"

	"github.com/whop-license/whop-license/shared/machine"
)

// hostName returns the name that hostname(1), uname(2) and Python's
// platform.node() give.
func hostName() machine.Reading {
	name, err := os.Hostname()
	if err != nil {
		return machine.Reading{Err: err.Error()}
	}
	return machine.Reading{Bytes: []byte(name)}
}
