//go:build unix

package main

import "golang.org/x/sys/unix"

// openFiles returns how many files and connections this process may have open.
func openFiles() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return maxConnections
	}
	return int(min(limit.Cur, 1<<30))
}
