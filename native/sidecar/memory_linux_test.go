package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertModestMemory bounds the peak memory of a running process: a fresh one
// uses about 8 MB.
func assertModestMemory(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	peak := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
	require.NotNil(t, peak, "%s", status)
	kilobytes, err := strconv.Atoi(string(peak[1]))
	require.NoError(t, err)
	assert.Less(t, kilobytes, 32_000)
}
