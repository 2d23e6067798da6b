package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientLimit(t *testing.T) {
	key := testKey("cheap")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--client-limit", "5", "--trusted-proxies", "127.0.0.1,::1")
	from := func(addr, key string) answer {
		return g.post(validatePath(key), `{"metadata":{"HWID":"`+machine(1)+`"}}`, "X-Forwarded-For", addr)
	}
	require.Equal(t, 201, from("203.0.113.1", key).status)
	for n := range 4 {
		require.Equal(t, 404, from("203.0.113.1", testKey(fmt.Sprint("guess", n))).status)
	}
	assertRefused(t, from("203.0.113.1", testKey("guess9")), 429, "rate_limited")
	assert.Equal(t, 201, from("203.0.113.1", key).status, "what is cached costs nothing")
	assert.Equal(t, 404, from("203.0.113.2", testKey("guess9")).status, "others are not limited with it")
	for n := range 5 {
		require.Equal(t, 404, from(fmt.Sprintf("2001:db8:0:1::%d", n), testKey(fmt.Sprint("six", n))).status)
	}
	assertRefused(t, from("2001:db8:0:1:ffff::1", testKey("six9")), 429, "rate_limited")
	assert.Equal(t, 404, from("2001:db8:0:2::1", testKey("six9")).status)
	assert.False(t, g.logged("--trusted-proxies"))
}

// Behind a proxy that it does not know the gateway takes all clients for one.
func TestProxyThatIsNotTrustedIsToldOfOnce(t *testing.T) {
	g := startGateway(t, startSim(t, nil))
	require.Equal(t, 404, g.validate(testKey("x"), machine(1)).status)
	assert.False(t, g.logged("--trusted-proxies"))
	for range 3 {
		require.Equal(t, 404, g.post(validatePath(testKey("x")), `{"metadata":{}}`, "X-Forwarded-For", "203.0.113.1").status)
	}
	assert.Equal(t, 1, strings.Count(g.logs.String(), "--trusted-proxies"))
	assert.NotContains(t, g.logs.String(), "203.0.113.1")
}

func TestLicenseLimit(t *testing.T) {
	key := testKey("busy")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim, "--license-limit", "6")
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	assertRefused(t, g.validate(key, machine(2)), 429, "rate_limited")
	assert.Equal(t, 1, sim.calls("v1.get"))
	assert.Equal(t, 404, g.validate(testKey("another"), machine(2)).status)
}

func TestUpstreamBudget(t *testing.T) {
	sim := startSim(t, nil)
	g := startGateway(t, sim, "--upstream-budget", "30", "--client-limit", "0")
	counts := map[int]int{}
	for n := range 40 {
		a := g.validate(testKey(fmt.Sprint("k", n)), machine(1))
		counts[a.status]++
		if a.status != 404 {
			assertRefused(t, a, 503, "unavailable")
		}
	}
	assert.GreaterOrEqual(t, counts[404], 10)
	assert.Positive(t, counts[503])
	assert.Equal(t, counts[404], sim.calls("v1.get"))
}
