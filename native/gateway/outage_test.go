package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// circuitTrip is how many licenses must fail before Whop is left alone.
const circuitTrip = 10

// As it was seen: keys of a stranger's choice that make Whop fail, from one
// address inside its limit, and customers who are not in the cache.
func TestStrangersShutNobodyOut(t *testing.T) {
	t.Parallel()
	for _, strangers := range []int{20, 400} {
		t.Run(fmt.Sprint(strangers), func(t *testing.T) {
			t.Parallel()
			const customers = 165
			var all []fields
			for n := range strangers {
				all = append(all, licensed(testKey(gatewaytest.Stranger(n)), fields{"fault": []string{"500", "502", "reset", "garbage"}[n%4]}))
			}
			for n := range customers {
				all = append(all, licensed(testKey(gatewaytest.Customer(n)), fields{"metadata": fields{"HWID": machine(n)}}))
			}
			sim := startSim(t, all)
			g := startGateway(t, sim, "--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0", "--cache-ttl", "0")
			for round := range 2 { // customers that are new, then such as were seen before
				var attack errgroup.Group
				attack.SetLimit(50)
				for n := range strangers {
					attack.Go(func() error {
						a, err := g.tryValidate(testKey(gatewaytest.Stranger(n)), machine(n))
						assert.Equal(t, 503, a.status, a.body)
						return err
					})
				}
				require.NoError(t, attack.Wait())
				for n := range customers {
					require.Equal(t, 201, g.validate(testKey(gatewaytest.Customer(n)), machine(n)).status, round)
					if n%10 == 0 {
						g.validate(testKey(gatewaytest.Stranger(n%strangers)), machine(n))
					}
				}
			}
			assert.False(t, g.logged("the circuit to Whop changed"))
		})
	}
}

func TestCircuitOpensForAnOutageAndClosesAgain(t *testing.T) {
	t.Parallel()
	var all []fields
	for n := range circuitTrip {
		all = append(all, licensed(testKey(gatewaytest.Customer(n)), fields{"metadata": fields{"HWID": machine(n)}}))
	}
	sim := startSim(t, all)
	g := startGateway(t, sim, "--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0", "--cache-ttl", "0", "--stale-if-error", "0")
	for n := range all {
		require.Equal(t, 201, g.validate(testKey(gatewaytest.Customer(n)), machine(n)).status)
	}
	sim.outage("500")
	before := sim.calls("v1.get")
	ask := func(name string) {
		assertRefused(t, g.validate(testKey(name), machine(1)), 503, "unavailable")
	}
	for n := range circuitTrip {
		if n > 0 {
			ask(gatewaytest.Stranger(n))
		}
		assert.False(t, g.logged("the circuit to Whop changed"))
		ask(gatewaytest.Customer(n))
	}
	assert.True(t, g.logged("the circuit to Whop changed", `"to":"open"`))
	// These are so few that the circuit has no time to try again.
	ask(gatewaytest.Customer(0))
	ask(gatewaytest.Stranger(0))
	assert.Equal(t, 4*circuitTrip-3, sim.calls("v1.get")-before, "each was asked about twice, and so were the strangers between, until it opened")
	sim.outage("")
	eventually(t, "the circuit closes", func() bool { return g.validate(testKey(gatewaytest.Customer(1)), machine(1)).status == 201 })
}
