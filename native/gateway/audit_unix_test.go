//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The seller's commands run as root, and the gateway doesn't.
func TestAuditLogThatRootMakesIsItsFolders(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	folder := t.TempDir()
	require.NoError(t, os.Chown(folder, 65532, 65531))
	file := filepath.Join(folder, "audit")
	require.NoError(t, checkAudit(file))
	info, err := os.Stat(file)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	assert.Equal(t, []uint32{65532, 65531}, []uint32{owner.Uid, owner.Gid})
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Chown(file, 65530, 65530))
	require.NoError(t, checkAudit(file))
	info, err = os.Stat(file)
	require.NoError(t, err)
	assert.EqualValues(t, 65530, info.Sys().(*syscall.Stat_t).Uid, "one that was there is left alone")
}
