package main

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

var errDown = unavailable("failing", errors.New("status 500"))

// circuitOf returns a circuit and a way to ask about a license.
func circuitOf() (c *circuit, ask func(name string, answer error) (asked bool)) {
	c = newCircuit(newMetrics(), discardLog)
	tags := newTagger("k")
	return c, func(name string, answer error) (asked bool) {
		_, _ = c.run(tags.of("call", []byte(name)), func() (*membership, error) { asked = true; return nil, answer })
		return asked
	}
}

// tripped returns a circuit that has just opened: customers 0 to circuitTrip-1
// were seen good, and failed.
func tripped(t *testing.T) (c *circuit, ask func(string, error) bool) {
	c, ask = circuitOf()
	for n := range circuitTrip {
		require.True(t, ask(customer(n), nil))
	}
	for n := range circuitTrip {
		require.True(t, ask(customer(n), errDown))
	}
	require.Error(t, c.open())
	return c, ask
}

func customer(n int) string { return fmt.Sprint("customer", n) }
func stranger(n int) string { return fmt.Sprint("stranger", n) }

func TestCircuitCountsDifferentLicensesThatWereSeenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 1000 {
			ask(stranger(n), errDown)
		}
		assert.NoError(t, c.open(), "keys that Whop never told of")
		for n := range circuitTrip {
			ask(customer(n), nil)
		}
		for range 1000 {
			ask(customer(0), errDown)
		}
		assert.NoError(t, c.open(), "one license")
		for n := range circuitTrip - 1 {
			assert.NoError(t, c.open())
			ask(customer(n), errDown)
		}
		assert.NoError(t, c.open())
		assert.True(t, ask(customer(circuitTrip-1), errDown))
		assert.Error(t, c.open())
		assert.False(t, ask(customer(0), nil))
		assert.False(t, ask(stranger(0), nil))
	})
}

func TestCircuitNeedsHalfOfWhatWasAskedToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 100 {
			ask(customer(n), nil)
		}
		for n := range 100 { // one in three fails
			ask(customer(n), errDown)
			ask(customer(n), nil)
			ask(customer(n+1), nil)
			require.NoError(t, c.open())
		}
	})
}

func TestCircuitForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 100 {
			ask(customer(n), nil)
		}
		for n := range 100 {
			ask(customer(n), errDown)
			time.Sleep(circuitMemory/(circuitTrip-1) + 1)
			require.NoError(t, c.open())
		}
	})
}

func TestCircuitCountsNoAnswers(t *testing.T) {
	status := errors.New("status")
	for _, err := range []error{
		errUnknown, unavailable("bad_answer", status), &upstreamError{reason: "forbidden", err: status},
		&upstreamError{reason: "rate_limited", retryAfter: time.Second, err: status},
	} {
		c, ask := circuitOf()
		for n := range 10 * circuitTrip {
			ask(customer(n), nil)
			ask(stranger(n), err)
		}
		for n := range 10 * circuitTrip {
			ask(customer(n), err)
		}
		assert.NoError(t, c.open(), err.Error())
	}
}

func TestCircuitClosesWithAnAnswer(t *testing.T) {
	for name, who := range map[string]string{"known": customer(0), "new": "new customer"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, ask := tripped(t)
				time.Sleep(circuitRest)
				assert.True(t, ask(who, nil))
				assert.Equal(t, circuitClosed, c.state)
				for n := range circuitTrip - 1 {
					assert.True(t, ask(customer(n), errDown), "what failed before it opened counts no more")
				}
			})
		})
	}
}

func TestCircuitOpensAgainWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		for range 10 {
			time.Sleep(circuitRest)
			assert.True(t, ask(customer(0), errDown))
			assert.Error(t, c.open())
			assert.False(t, ask(customer(1), nil))
		}
	})
}

// Whoever has keys that make Whop fail, or hang, can't keep the circuit from
// closing.
func TestStrangersCannotKeepTheCircuitOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		time.Sleep(circuitRest)
		hang := make(chan struct{})
		for n := range 100 {
			go func() {
				_, _ = c.run(newTagger("x").of("call", []byte(stranger(n))), func() (*membership, error) { <-hang; return nil, errDown })
			}()
		}
		synctest.Wait()
		for n := range 100 {
			ask(stranger(n), errDown)
			ask(stranger(n), errUnknown)
		}
		assert.NoError(t, c.open())
		assert.Equal(t, circuitTrial, c.state, "nor close it")
		assert.True(t, ask(customer(0), nil))
		close(hang)
		synctest.Wait()
		assert.Equal(t, circuitClosed, c.state)
	})
}

func TestCircuitTriesAFewLicensesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		time.Sleep(circuitRest)
		hang := make(chan struct{})
		for n := range circuitTrials {
			go func() {
				_, _ = c.run(newTagger("k").of("call", []byte(customer(n))), func() (*membership, error) { <-hang; return nil, nil })
			}()
		}
		synctest.Wait()
		assert.False(t, ask(customer(9), nil))
		close(hang)
		synctest.Wait()
		assert.True(t, ask(customer(9), nil))
	})
}

// As it was seen: keys of a stranger's choice that make Whop fail, from one
// address inside its limit, and customers who are not in the cache.
func TestStrangersShutNobodyOut(t *testing.T) {
	for _, strangers := range []int{20, 1000} {
		t.Run(fmt.Sprint(strangers), func(t *testing.T) {
			const customers = 165
			var all []fields
			for n := range strangers {
				all = append(all, licensed(testKey(stranger(n)), fields{"fault": []string{"500", "502", "reset", "garbage"}[n%4]}))
			}
			for n := range customers {
				all = append(all, licensed(testKey(customer(n)), fields{"metadata": fields{"HWID": machine(n)}}))
			}
			sim := startSim(t, all)
			g := startGateway(t, sim, "--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0", "--cache-ttl", "0")
			for round := range 2 { // customers that are new, then such as were seen before
				var attack errgroup.Group
				attack.SetLimit(50)
				for n := range strangers {
					attack.Go(func() error {
						a, err := g.tryValidate(testKey(stranger(n)), machine(n))
						assert.Equal(t, 503, a.status, a.body)
						return err
					})
				}
				require.NoError(t, attack.Wait())
				for n := range customers {
					require.Equal(t, 201, g.validate(testKey(customer(n)), machine(n)).status, round)
					if n%10 == 0 {
						g.validate(testKey(stranger(n%strangers)), machine(n))
					}
				}
			}
			assert.False(t, g.logged("the circuit to Whop changed"))
		})
	}
}

func TestCircuitOpensForAnOutageAndClosesAgain(t *testing.T) {
	t.Parallel() // it mostly waits
	var all []fields
	for n := range 165 {
		all = append(all, licensed(testKey(customer(n)), fields{"metadata": fields{"HWID": machine(n)}}))
	}
	sim := startSim(t, all)
	g := startGateway(t, sim, "--client-limit", "0", "--license-limit", "0", "--upstream-budget", "0", "--cache-ttl", "0", "--stale-if-error", "0")
	for n := range all {
		require.Equal(t, 201, g.validate(testKey(customer(n)), machine(n)).status)
	}
	sim.outage("500")
	before := sim.calls("v1.get")
	for n := range all {
		assertRefused(t, g.validate(testKey(customer(n)), machine(n)), 503, "unavailable")
		assertRefused(t, g.validate(testKey(stranger(n)), machine(n)), 503, "unavailable")
	}
	assert.True(t, g.logged("the circuit to Whop changed", `"to":"open"`))
	assert.Equal(t, 4*circuitTrip-3, sim.calls("v1.get")-before, "each was asked about twice, and so were the strangers between, until it opened")
	sim.outage("")
	eventually(t, "the circuit closes", func() bool { return g.validate(testKey(customer(1)), machine(1)).status == 201 })
}
