//go:build unix

package gatewaytest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Redis is a real redis-server on a socket of its own: a port that was free
// could be taken by the time the server listens on it, or restarts.
type Redis struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	own *redis.Client
}

// StartRedis starts a redis-server that ends with the test.
func StartRedis(t *testing.T) *Redis {
	t.Helper()
	// Not t.TempDir, as a socket's path is at most 100 characters or so.
	dir, err := os.MkdirTemp("", "redis")
	require.NoError(t, err)
	r := &Redis{t: t, dir: dir}
	t.Cleanup(func() { r.Kill(); _ = os.RemoveAll(dir) })
	r.Start()
	return r
}

// Socket is the path at which the server listens.
func (r *Redis) Socket() string { return filepath.Join(r.dir, "redis.sock") }

// URL is the server's address as --redis-url takes it.
func (r *Redis) URL() string { return "unix://" + r.Socket() + "?db=0" }

// Options are the server's address as the Redis client takes it.
func (r *Redis) Options() *redis.Options {
	return &redis.Options{Network: "unix", Addr: r.Socket()}
}

// NewClient returns another client, which the caller closes.
func (r *Redis) NewClient() *redis.Client { return redis.NewClient(r.Options()) }

// Client returns a client of the test's own.
func (r *Redis) Client() *redis.Client {
	if r.own == nil {
		r.own = r.NewClient()
		r.t.Cleanup(func() { _ = r.own.Close() })
	}
	return r.own
}

// Start starts the server, again if it was killed.
func (r *Redis) Start() {
	r.t.Helper()
	program, err := exec.LookPath("redis-server")
	require.NoError(r.t, err, "redis-server is needed: run `make setup`, or install the package redis-server")
	r.cmd = exec.Command(program, "--port", "0", "--unixsocket", r.Socket(), "--save", "", "--appendonly", "no", "--dir", r.dir)
	require.NoError(r.t, r.cmd.Start())
	Eventually(r.t, "redis-server answers", func() bool {
		c := r.NewClient()
		defer c.Close()
		return c.Ping(context.Background()).Err() == nil
	})
}

// Kill ends the server at once, and all that it held is lost.
func (r *Redis) Kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// Process is the running server.
func (r *Redis) Process() *os.Process { return r.cmd.Process }
