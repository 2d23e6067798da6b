package hosting

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readDockerfile parses the Dockerfile as BuildKit does, whose linter must find
// nothing.
func readDockerfile(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(read(t, "native/gateway/Dockerfile")))
	require.NoError(t, err)
	assert.Empty(t, parsed.Warnings)
	var found []string
	lint := linter.New(&linter.Config{Warn: func(name, _, _, message string, _ []parser.Range) {
		found = append(found, name+": "+message)
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	require.NoError(t, err)
	assert.Empty(t, found)
	require.Len(t, stages, 2)
	return stages
}

// The commands of the first stage, run in a folder that has what it copies, build
// the program; and it runs in a folder that has nothing else, as the image's user.
func TestDockerfile(t *testing.T) {
	stages := readDockerfile(t)
	folder, image := t.TempDir(), t.TempDir()
	for _, command := range stages[0].Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			for _, source := range c.SourcePaths {
				copyTo(t, filepath.Join(root, source), filepath.Join(folder, source))
			}
		case *instructions.RunCommand:
			line := strings.Join(c.CmdLine, " ")
			if line == "go mod download" {
				continue // the module cache of this machine has all that is needed
			}
			run := exec.Command("sh", "-c", strings.ReplaceAll(line, " /whop-license-gateway", " "+image+"/whop-license-gateway"))
			run.Dir = folder
			out, err := run.CombinedOutput()
			require.NoError(t, err, "%s: %s", line, out)
		}
	}
	requireImage(t, stages[1], image)
}

// requireImage runs the second stage's entry point and health check, as root in a
// folder of their own.
func requireImage(t *testing.T, stage instructions.Stage, image string) {
	t.Helper()
	env := []string{"WHOP_API_KEY=" + apiKey, "WHOP_LICENSE_PRODUCT=" + product}
	var entry, health []string
	for _, command := range stage.Commands {
		switch c := command.(type) {
		case *instructions.EnvCommand:
			for _, pair := range c.Env {
				env = append(env, pair.Key+"="+pair.Value)
			}
		case *instructions.EntrypointCommand:
			entry = c.CmdLine
		case *instructions.HealthCheckCommand:
			health = c.Health.Test
		case *instructions.UserCommand:
			assert.Equal(t, "nonroot:nonroot", c.User)
		}
	}
	require.NotEmpty(t, entry)
	require.Equal(t, "CMD", health[0])
	if os.Getuid() != 0 {
		t.Log("chroot needs root: the program was built, but not run")
		return
	}
	require.NoError(t, os.Chmod(image, 0o755))
	inside := func(line ...string) *exec.Cmd {
		cmd := &exec.Cmd{Path: line[0], Args: line, Env: env, Dir: "/"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: image, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	out, err := inside(append(entry, "--config-check")...).CombinedOutput()
	require.NoError(t, err, string(out))

	// The image's port may be taken, so another is given.
	env = append(env, "WHOP_LICENSE_LISTEN=127.0.0.1:18080")
	require.Error(t, inside(health[1:]...).Run(), "no gateway runs yet")
	startWithURL(t, inside(append(entry, "--upstream-url="+startSimulator(t))...))
	require.Eventually(t, func() bool { return inside(health[1:]...).Run() == nil }, 20e9, 100e6)
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	require.NoError(t, err)
	if info.IsDir() {
		require.NoError(t, os.CopyFS(to, os.DirFS(from)))
		return
	}
	text, err := fs.ReadFile(os.DirFS(filepath.Dir(from)), filepath.Base(from))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o644))
}
