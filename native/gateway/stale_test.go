package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

const withNonce = `"nonce":"` + testNonce + `"}`

// bound is a membership that holds a machine.
func boundTo(key string, n int, more ...fields) fields {
	return licensed(key, append([]fields{{"metadata": fields{"HWID": machine(n)}}}, more...)...)
}

// Every way in which Whop can't be asked.
func TestGoodLicenseOutlivesAnOutage(t *testing.T) {
	for _, kind := range []string{"timeout", "reset", "500", "401", "403", "429", "html-404", "empty-404"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			key := testKey("stale")
			sim := startSim(t, []fields{boundTo(key, 1)})
			file, _ := newKeyFile(t)
			g := startGateway(t, sim, append(patience(kind), "--cache-ttl", "0", "--signing-key", file)...)
			fresh := g.validate(key, machine(1))
			require.Equal(t, 201, fresh.status)
			sim.outage(kind)
			for range 3 {
				a := g.validate(key, machine(1))
				require.Equal(t, 201, a.status, a.body)
				assert.Contains(t, fresh.body, `"lease"`)
				assert.NotContains(t, a.body, `"lease"`, "nothing is signed on old knowledge")
			}
			no := []int{502, 503}
			assert.Contains(t, no, g.post(validatePath(key), `{"metadata":{"HWID":"`+machine(1)+`"},`+withNonce).status, "its lease stands in")
			assert.Contains(t, no, g.validate(key, machine(2)).status, "another machine")
			assert.Contains(t, no, g.validate(testKey("nobody"), machine(1)).status)
			assert.Equal(t, 1, strings.Count(g.logs.String(), "Whop can't be asked"), "logged once a minute at most")
		})
	}
}

func TestGoodLicenseOutlivesWhatConcernsItAlone(t *testing.T) {
	key := testKey("garbled")
	sim := startSim(t, []fields{boundTo(key, 1)})
	g := startGateway(t, sim, "--cache-ttl", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.set(key, fields{"fault": "garbage"})
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
}

func TestNothingIsStaleWhereItIsTurnedOff(t *testing.T) {
	key := testKey("off")
	sim := startSim(t, []fields{boundTo(key, 1)})
	g := startGateway(t, sim, "--cache-ttl", "0", "--stale-if-error", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.outage("500")
	assertRefused(t, g.validate(key, machine(1)), 503, "unavailable")
}

func TestStaleEndsInTime(t *testing.T) {
	t.Parallel()
	key := testKey("aged")
	sim := startSim(t, []fields{boundTo(key, 1)})
	g := startGateway(t, sim, "--cache-ttl", "0", "--stale-if-error", "4s", "--license-limit", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.outage("500")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	eventually(t, "it is too old", func() bool { return g.validate(key, machine(1)).status == 503 })
}

func TestStaleEndsWithTheMembership(t *testing.T) {
	ended, ending := testKey("ended"), testKey("ending")
	sim := startSim(t, []fields{
		boundTo(ended, 1, fields{"renewal_period_end": "2025-06-01T00:00:00Z", "cancel_at_period_end": true}),
		boundTo(ending, 1, fields{"renewal_period_end": "2095-06-01T00:00:00Z", "cancel_at_period_end": true}),
	})
	g := startGateway(t, sim, "--cache-ttl", "0")
	require.Equal(t, 201, g.validate(ended, machine(1)).status, "Whop has not acted on it yet")
	require.Equal(t, 201, g.validate(ending, machine(1)).status)
	sim.outage("500")
	assertRefused(t, g.validate(ended, machine(1)), 503, "unavailable")
	assert.Equal(t, 201, g.validate(ending, machine(1)).status)
}

// endings are how a license can end for machine 1, each with what it is told.
var endings = map[string]struct {
	end    func(sim *simulator, key string)
	status int
}{
	"canceled":        {func(sim *simulator, key string) { sim.set(key, fields{"status": "canceled"}) }, 403},
	"another machine": {func(sim *simulator, key string) { sim.set(key, fields{"metadata": fields{"HWID": machine(2)}}) }, 400},
	"another product": {func(sim *simulator, key string) { sim.set(key, fields{"product": "prod_other"}) }, 404},
	"no such license": {func(sim *simulator, key string) { sim.control("POST", "/sim/remake/"+key, nil) }, 404},
}

func TestAnAnswerEndsStale(t *testing.T) {
	t.Parallel()
	for name, ending := range endings {
		t.Run(name, func(t *testing.T) {
			key := testKey("changed")
			sim := startSim(t, []fields{boundTo(key, 1)})
			g := startGateway(t, sim, "--cache-ttl", "0", "--license-limit", "0")
			require.Equal(t, 201, g.validate(key, machine(1)).status)
			ending.end(sim, key)
			require.Equal(t, ending.status, g.validate(key, machine(1)).status)
			sim.outage("500")
			assertRefused(t, g.validate(key, machine(1)), 503, "unavailable")
		})
	}
}

func TestAResetEndsStale(t *testing.T) {
	key := testKey("reset")
	sim := startSim(t, []fields{boundTo(key, 1)})
	g := startGateway(t, sim, "--cache-ttl", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.reset(key)
	require.Equal(t, 201, g.post(validatePath(key), `{"metadata":{}}`).status, "it is seen, and nothing bound")
	sim.outage("500")
	assertRefused(t, g.validate(key, machine(1)), 503, "unavailable")
}

func TestAWebhookEndsStale(t *testing.T) {
	key, other := testKey("hooked"), testKey("other")
	sim := startSim(t, []fields{boundTo(key, 1), boundTo(other, 1)})
	g := startGateway(t, sim, "--cache-ttl", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	require.Equal(t, 201, g.validate(other, machine(1)).status)
	sim.outage("500")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sendWebhook(t, g, sim, key, "msg_1")
	assertRefused(t, g.validate(key, machine(1)), 503, "unavailable")
	assert.Equal(t, 201, g.validate(other, machine(1)).status)
}

// Many can use up the quota, and shut nobody out who was good.
func TestGoodLicenseOutlivesTheQuota(t *testing.T) {
	key, licenses := testKey("quota"), []fields{}
	for n := range 20 {
		licenses = append(licenses, boundTo(testKey(fmt.Sprint("many", n)), 1))
	}
	sim := startSim(t, append(licenses, boundTo(key, 1)))
	g := startGateway(t, sim, "--cache-ttl", "0", "--upstream-budget", "10")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	for n := 0; ; n++ {
		if a := g.validate(testKey(fmt.Sprint("many", n)), machine(1)); a.status != http.StatusCreated {
			assertRefused(t, a, 503, "unavailable")
			break
		}
	}
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.True(t, g.logged("Whop can't be asked", "over_budget"))
}

// Whoever could keep an ended license from being asked about would keep it.
func TestNobodysOwnLimitMakesALicenseStale(t *testing.T) {
	key := testKey("limits")
	sim := startSim(t, []fields{boundTo(key, 1)})
	for _, limit := range []string{"--client-limit", "--license-limit"} {
		g := startGateway(t, sim, "--cache-ttl", "0", limit, "1")
		require.Equal(t, 201, g.validate(key, machine(1)).status)
		assertRefused(t, g.validate(key, machine(1)), 429, "rate_limited")
	}
}

func TestStaleIsCounted(t *testing.T) {
	key := testKey("counted")
	sim := startSim(t, []fields{boundTo(key, 1)})
	addr := gatewaytest.FreeAddress(t)
	g := startGateway(t, sim, "--cache-ttl", "0", "--metrics-listen", addr)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, "0", metric(t, addr, "whop_license_stale_total"))
	sim.outage("500")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, "1", metric(t, addr, "whop_license_stale_total"))
}
