//go:build unix

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// startTwo starts two gateways that share Redis, and has both see licenses good
// for machine 1.
func startTwo(t *testing.T, r *gatewaytest.Redis, sim *simulator, keys ...string) (a, b *gw) {
	t.Helper()
	args := []string{"--redis-url", r.URL(), "--cache-ttl", "0", "--license-limit", "0"}
	a, b = startGateway(t, sim, args...), startGateway(t, sim, args...)
	for _, key := range keys {
		require.Equal(t, 201, a.validate(key, machine(1)).status)
		require.Equal(t, 201, b.validate(key, machine(1)).status)
	}
	return a, b
}

// What Whop refused to one gateway, no other gateway answers from an older
// look-up.
func TestARefusalEndsStaleOnEveryGateway(t *testing.T) {
	t.Parallel()
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			key, other := testKey("changed"), testKey("other")
			sim := startSim(t, []fields{boundTo(key, 1), boundTo(other, 1)})
			a, b := startTwo(t, gatewaytest.StartRedis(t), sim, key, other)
			ending.end(sim, key)
			require.Equal(t, ending.status, a.validate(key, machine(1)).status)
			sim.outage("500")
			assertRefused(t, b.validate(key, machine(1)), 503, "unavailable")
			assert.Equal(t, 201, b.validate(other, machine(1)).status)
		})
	}
}

// A refusal of one machine ends nothing for another.
func TestARefusalOfAStrangerEndsNoStale(t *testing.T) {
	key := testKey("shared")
	sim := startSim(t, []fields{boundTo(key, 1)})
	a, b := startTwo(t, gatewaytest.StartRedis(t), sim, key)
	require.Equal(t, 400, a.validate(key, machine(2)).status)
	sim.outage("500")
	assert.Equal(t, 201, b.validate(key, machine(1)).status)
	assertRefused(t, b.validate(key, machine(2)), 503, "unavailable")
}

func TestNewsEndsStaleOnEveryGateway(t *testing.T) {
	hooked, moved := testKey("hooked"), testKey("moved")
	sim := startSim(t, []fields{boundTo(hooked, 1), boundTo(moved, 1)})
	a, b := startTwo(t, gatewaytest.StartRedis(t), sim, hooked, moved)
	sim.reset(moved)
	require.Equal(t, 201, a.validate(moved, machine(2)).status)
	sim.outage("500")
	sendWebhook(t, a, sim, hooked, "msg_1")
	assertRefused(t, b.validate(hooked, machine(1)), 503, "unavailable")
	assertRefused(t, b.validate(moved, machine(1)), 503, "unavailable")
	assertRefused(t, b.validate(moved, machine(2)), 503, "unavailable")
	assert.Equal(t, 201, a.validate(moved, machine(2)).status)
}

// A gateway that can't receive news gives no answer that the news could have
// been about.
func TestNothingIsStaleWithoutRedis(t *testing.T) {
	t.Parallel()
	key := testKey("deaf")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{boundTo(key, 1)})
	a, _ := startTwo(t, r, sim, key)
	sim.outage("500")
	require.Equal(t, 201, a.validate(key, machine(1)).status)
	r.Kill()
	assertRefused(t, a.validate(key, machine(1)), 503, "unavailable")
	r.Start()
	sim.outage("")
	eventually(t, "it is asked about again, and good", func() bool { return a.validate(key, machine(1)).status == 201 })
	eventually(t, "and then outlives an outage again", func() bool {
		sim.outage("")
		require.Equal(t, 201, a.validate(key, machine(1)).status)
		sim.outage("500")
		return a.validate(key, machine(1)).status == 201
	})
}

// Nor where the news alone was cut off.
func TestNothingIsStaleAfterNewsCouldBeMissed(t *testing.T) {
	key := testKey("missed")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{boundTo(key, 1)})
	a, _ := startTwo(t, r, sim, key)
	sim.outage("500")
	require.Equal(t, 201, a.validate(key, machine(1)).status)
	require.NoError(t, r.Client().ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
	assertRefused(t, a.validate(key, machine(1)), 503, "unavailable")
}
