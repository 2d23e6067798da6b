package main

import (
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	// memoryGoal is the memory above which garbage is collected sooner than usual, so
	// that what strangers make the gateway hold for a moment is not held much longer.
	memoryGoal = 256 << 20
	// memoryLook is how often the gateway checks how much memory it uses.
	memoryLook = 100 * time.Millisecond
)

// setMemory sets how garbage is collected, unless the environment does.
func setMemory() {
	if os.Getenv("GOGC") == "" {
		// The gateway holds little, so the default would collect all the time. This
		// costs some 15 MB and saves a good part of the work under load.
		debug.SetGCPercent(300)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryGoal)
	}
}

// memory returns how much memory is used, and the most that should be. If
// connections don't hold it, Go keeps what is used near its own limit.
func memory() (used, most uint64) {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(samples)
	limit := debug.SetMemoryLimit(-1)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64(), uint64(limit) + uint64(limit/8)
}
