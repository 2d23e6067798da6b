//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// If only root may write to the folder, init says that it needs root.
func TestInitWithoutRights(t *testing.T) {
	dir, program := filepath.Join(t.TempDir(), "gateway"), filepath.Join(t.TempDir(), "program")
	binary, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, binary, 0o755))
	cmd := exec.Command(program, "init", "--product", "prod_1", "--domain", "license.example.com", "--dir", dir)
	cmd.Env = []string{asGateway + "=1", "WHOP_API_KEY=" + testAPIKey}
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else {
		require.NoError(t, os.Mkdir(dir, 0o500))
	}
	// Another user must be able to run the program.
	for d := filepath.Dir(program); len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	text, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(text), "permission denied; run init as root, or give another --dir")
}
