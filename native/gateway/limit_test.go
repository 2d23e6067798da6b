//go:build unix

package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
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
	assert.False(t, g.logged("forwarded for"))
}

// Behind a proxy that it does not know the gateway takes all clients for one.
func TestProxyThatIsNotTrustedIsToldOfOnce(t *testing.T) {
	g := startGateway(t, startSim(t, nil))
	require.Equal(t, 404, g.validate(testKey("x"), machine(1)).status)
	assert.False(t, g.logged("forwarded for"))
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
	var licenses []fields
	for n := range 40 {
		licenses = append(licenses, boundTo(testKey(fmt.Sprint("k", n)), 1))
	}
	sim := startSim(t, licenses)
	g := startGateway(t, sim, "--upstream-budget", "30", "--client-limit", "0")
	counts := map[int]int{}
	for n := range 40 {
		a := g.validate(testKey(fmt.Sprint("k", n)), machine(1))
		counts[a.status]++
		if a.status != 201 {
			assertRefused(t, a, 503, "unavailable")
		}
	}
	assert.GreaterOrEqual(t, counts[201], 9, "one was taken at the start")
	assert.Positive(t, counts[503])
	assert.Equal(t, counts[201], sim.calls("v1.get"))
	assert.Equal(t, 1, g.count("the quota for calls to Whop (--upstream-budget) is used up"))
}

// Two addresses that guess license keys don't use up what others need for theirs.
func TestFirstLooksUnderAttackers(t *testing.T) {
	var licenses []fields
	for n := range 40 {
		licenses = append(licenses, boundTo(testKey(fmt.Sprint("honest", n)), 1))
	}
	addr := gatewaytest.FreeAddress(t)
	g := startGateway(t, startSim(t, licenses), "--trusted-proxies", "127.0.0.1", "--metrics-listen", addr)
	limited := 0
	for n := range 2 * 300 {
		a := g.validateFrom(fmt.Sprintf("203.0.113.%d", n%2), testKey(fmt.Sprint("guess", n)))
		if a.status != 404 {
			assertRefused(t, a, 429, "rate_limited")
			limited++
		}
	}
	for n := range licenses {
		assert.Equal(t, 201, g.validateFrom(fmt.Sprintf("198.51.100.%d", n), testKey(fmt.Sprint("honest", n))).status)
	}
	assert.Equal(t, fmt.Sprint(limited), metric(t, addr, `whop_license_rate_limited_total{limit="unknown_keys"}`))
	assert.Equal(t, 1, g.count("license keys that don't exist", "--trusted-proxies"))
}

// An IPv6 site has many networks to guess from.
func TestGuessesFromOneSite(t *testing.T) {
	g := startGateway(t, startSim(t, nil), "--trusted-proxies", "127.0.0.1", "--client-limit", "50")
	answered := map[int]int{}
	for n := range 60 { // ten are allowed a /64, and so twenty a /56 and forty a /48
		answered[g.validateFrom(fmt.Sprintf("2001:db8:1:%x::1", n%6), testKey(fmt.Sprint("a", n))).status]++
	}
	assert.Contains(t, []int{20, 21, 22}, answered[404], "of a /56")
	for n := range 60 {
		answered[g.validateFrom(fmt.Sprintf("2001:db8:1:%x::1", 0x100*(n%6+1)), testKey(fmt.Sprint("b", n))).status]++
	}
	assert.Contains(t, []int{40, 41, 42, 43, 44}, answered[404], "of a /48")
}

// Strangers from everywhere use up their part of the quota, and no more.
func TestPartOfTheQuotaIsKeptForKnownLicenses(t *testing.T) {
	for _, together := range []bool{false, true} {
		t.Run(fmt.Sprint("with Redis ", together), func(t *testing.T) {
			key, addr := testKey("regular"), gatewaytest.FreeAddress(t)
			sim := startSim(t, []fields{boundTo(key, 1)})
			args := []string{"--trusted-proxies", "127.0.0.1", "--cache-ttl", "0", "--license-limit", "0", "--upstream-budget", "120", "--metrics-listen", addr}
			if together {
				args = append(args, "--redis-url", gatewaytest.StartRedis(t).URL())
			}
			g := startGateway(t, sim, args...)
			require.Equal(t, 201, g.validateFrom("198.51.100.1", key).status)
			answered := map[int]int{}
			for n := range 60 {
				a := g.validateFrom(fmt.Sprintf("203.0.113.%d", n), testKey(fmt.Sprint("guess", n)))
				answered[a.status]++
				if a.status != 404 {
					assertRefused(t, a, 503, "unavailable")
				}
			}
			part := whop.BucketOf(whop.Strangers, 120).Burst
			assert.InDelta(t, part, answered[404], 5)
			left, err := strconv.ParseFloat(metric(t, addr, `whop_license_quota_left{operation="look_up_unknown"}`), 64)
			require.NoError(t, err)
			assert.Less(t, left, 2.0)
			for range 10 {
				assert.Equal(t, 201, g.validateFrom("198.51.100.1", key).status)
			}
			assert.Equal(t, 1, g.count("license keys that don't exist have used up their part"))
			assert.Zero(t, g.count("no verdict", "strangers"), "what costs strangers nothing does not fill the log")
		})
	}
}

// While Whop is slow, look-ups of made-up keys leave connections for others.
func TestStrangersLeaveConnectionsToWhop(t *testing.T) {
	t.Parallel()
	known := testKey("regular")
	sim := startSim(t, []fields{boundTo(known, 1)})
	g := startGateway(t, sim, "--upstream-budget", "0", "--client-limit", "0", "--cache-ttl", "0", "--upstream-timeout", "5s")
	require.Equal(t, 201, g.validate(known, machine(1)).status)
	sim.outage("timeout")
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() { _, _ = g.tryValidate(testKey(fmt.Sprint("guess", n)), machine(1)) })
	}
	eventually(t, "some are refused", func() bool { return g.logged("have used up their part") })
	eventually(t, "all others have reached Whop", func() bool { return sim.inFlight("v1.get") == 64 })
	wg.Go(func() { _, _ = g.tryValidate(known, machine(1)) })
	eventually(t, "the known license is asked about", func() bool { return sim.inFlight("v1.get") == 65 })
	sim.outage("")
	wg.Wait()
}

// Behind a proxy that sends no X-Forwarded-For, all clients are limited as one.
func TestProxyThatNamesNoClientsIsToldOf(t *testing.T) {
	g := startGateway(t, startSim(t, nil), "--trusted-proxies", "127.0.0.1", "--client-limit", "10")
	require.Equal(t, 404, g.validateFrom("203.0.113.1", testKey("x")).status)
	assert.False(t, g.logged("X-Forwarded-For"))
	for n := range 20 {
		g.validate(testKey(fmt.Sprint("x", n)), machine(1))
	}
	assert.Equal(t, 1, g.count("a trusted proxy sent a request without X-Forwarded-For"))
	assert.Equal(t, 1, g.count("a client was answered 429", "--client-limit"))
}
