//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// Redis that is reached and can't be used. What is done to it is undone later.
func TestRedisThatCannotBeUsed(t *testing.T) {
	config := func(name, value string) func(*testing.T, *redis.Client) {
		return func(t *testing.T, c *redis.Client) { require.NoError(t, c.ConfigSet(t.Context(), name, value).Err()) }
	}
	acl := func(rules ...any) func(*testing.T, *redis.Client) {
		return func(t *testing.T, c *redis.Client) {
			require.NoError(t, c.Do(t.Context(), append([]any{"ACL", "SETUSER", "gateway"}, rules...)...).Err())
		}
	}
	all := acl("on", "resetpass", ">secret", "~*", "&*", "+@all")
	for name, c := range map[string]struct {
		url      string // what follows the socket's path
		spoil    func(*testing.T, *redis.Client)
		repair   func(*testing.T, *redis.Client)
		says     string
		starting string // before the socket's path
	}{
		"a missing password": {"?db=0", config("requirepass", "secret"), config("requirepass", ""), "NOAUTH", "unix://"},
		"a wrong password":   {"?db=0", acl("on", "resetpass", ">other", "~*", "&*", "+@all"), all, "WRONGPASS", "unix://gateway:secret@"},
		"a read-only replica": {"?db=0", config("min-replicas-to-write", "1"), config("min-replicas-to-write", "0"),
			"a write failed", "unix://"},
		"a user who may not read":   {"?db=0", acl("on", ">secret", "~*", "&*", "+@all", "-get"), all, "a read failed", "unix://gateway:secret@"},
		"a user without scripts":    {"?db=0", acl("on", ">secret", "~*", "&*", "+@all", "-@scripting"), all, "a script failed", "unix://gateway:secret@"},
		"a user who hears no news":  {"?db=0", acl("on", ">secret", "~*", "resetchannels", "+@all"), all, "a published message did not come back", "unix://gateway:secret@"},
		"a user who may write none": {"?db=0", acl("on", ">secret", "~*", "&*", "-@all", "+@read", "+@connection"), all, "a write failed", "unix://gateway:secret@"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, bound := testKey("usable"), testKey("bound")
			r := gatewaytest.StartRedis(t)
			admin := r.NewClient()
			defer admin.Close()
			c.spoil(t, admin)
			sim := startSim(t, []fields{licensed(key), boundTo(bound, 1)})
			addr := gatewaytest.FreeAddress(t)
			g := startGateway(t, sim, "--redis-url", c.starting+r.Socket()+c.url, "--metrics-listen", addr, "--upstream-timeout", "1s", "--license-limit", "0")
			assert.Equal(t, 503, g.get("/readyz").status)
			assert.Equal(t, "0", metric(t, addr, "whop_license_redis_up"))
			assert.True(t, g.logged("Redis can't be used", c.says), g.logs.String())
			assert.NotContains(t, g.logs.String(), "secret")
			assert.Equal(t, 201, g.validate(bound, machine(1)).status)

			c.repair(t, admin)
			eventually(t, "it is ready", func() bool { return g.get("/readyz").status == 200 })
			assert.Equal(t, "1", metric(t, addr, "whop_license_redis_up"))
			eventually(t, "first uses are served", func() bool { return g.validate(key, machine(1)).status == 201 })

			c.spoil(t, admin)
			require.NoError(t, admin.ClientKillByFilter(t.Context(), "TYPE", "normal", "SKIPME", "yes").Err())
			eventually(t, "it is seen to be down", func() bool { return metric(t, addr, "whop_license_redis_up") == "0" })
			assert.Equal(t, 200, g.get("/readyz").status, "bound machines are served all the same")
		})
	}
}

func TestRedisDatabaseThatIsNotThere(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	g := startGateway(t, startSim(t, nil), "--redis-url", "unix://"+r.Socket()+"?db=99")
	assert.Equal(t, 503, g.get("/readyz").status)
	assert.True(t, g.logged("Redis can't be used", "DB index is out of range"))
}

// Servers that speak Redis' protocol, and that gateways can't share.
func TestRedisOfAKindThatIsNotSupported(t *testing.T) {
	t.Parallel()
	for mode, says := range map[string]string{"sentinel": "this is a Redis Sentinel", "cluster": "a node of a Redis Cluster"} {
		t.Run(mode, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "redis") // see startRedis
			require.NoError(t, err)
			defer os.RemoveAll(dir)
			socket, file := filepath.Join(dir, "redis.sock"), filepath.Join(dir, "redis.conf")
			text := "port 0\nunixsocket " + socket + "\ndir " + dir + "\n"
			args := []string{file}
			if mode == "cluster" {
				text += "cluster-enabled yes\n"
			} else {
				args = append(args, "--sentinel")
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			server := exec.Command("redis-server", args...)
			require.NoError(t, server.Start())
			defer func() { _ = server.Process.Kill(); _ = server.Wait() }()
			eventually(t, "it answers", func() bool {
				c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
				defer c.Close()
				return c.Ping(context.Background()).Err() == nil
			})
			g := startGateway(t, startSim(t, nil), "--redis-url", "unix://"+socket)
			assert.Equal(t, 503, g.get("/readyz").status)
			assert.True(t, g.logged("Redis can't be used", says), g.logs.String())
		})
	}
}

// The rights that web/docs/deploying.md names are enough.
func TestRedisUserWithLimitedRights(t *testing.T) {
	page, err := os.ReadFile("../../web/docs/deploying.md")
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(page), "(ACL) needs `")
	rights, _, found := strings.Cut(after, "`")
	require.True(t, found)
	r := gatewaytest.StartRedis(t)
	rule := []any{"ACL", "SETUSER", "gateway", "on", ">secret"}
	for right := range strings.FieldsSeq(rights) {
		rule = append(rule, right)
	}
	require.NoError(t, r.Client().Do(t.Context(), rule...).Err())
	key := testKey("limited")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--redis-url", "unix://gateway:secret@"+r.Socket(), "--cache-ttl", "0")
	assert.Equal(t, 200, g.get("/readyz").status, g.logs.String())
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	sendWebhook(t, g, sim, key, "msg_1")
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.outage("500")
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.NotContains(t, g.logs.String(), "Redis")
}

// Without INFO, it is only noticed that Redis was emptied.
func TestRedisUserWithoutInfoIsWarnedOf(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	require.NoError(t, r.Client().Do(t.Context(), "ACL", "SETUSER", "gateway", "on", ">secret", "~*", "&*", "+@all", "-info").Err())
	g := startGateway(t, startSim(t, nil), "--redis-url", "unix://gateway:secret@"+r.Socket())
	assert.Equal(t, 200, g.get("/readyz").status, g.logs.String())
	assert.Equal(t, 1, g.count("may not run INFO", "+info"))
}
