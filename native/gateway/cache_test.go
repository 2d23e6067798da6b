package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestValidLicenseIsLookedUpOnce(t *testing.T) {
	key := testKey("cached")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim)
	first := g.validate(key, machine(1))
	for range 5 {
		again := g.validate(key, machine(1))
		assert.Equal(t, first.body, again.body)
	}
	assert.Equal(t, 1, sim.calls("v1.get"))

	uncached := startGateway(t, sim, "--cache-ttl", "0")
	for range 3 {
		assert.Equal(t, 201, uncached.validate(key, machine(1)).status)
	}
	assert.Equal(t, 4, sim.calls("v1.get"))
}

func TestValidLicenseIsLookedUpAgainAfterCacheTTL(t *testing.T) {
	key := testKey("ttl")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--cache-ttl", "200ms")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.control("POST", "/sim/cancel/"+key, nil)
	eventually(t, "the cancellation is seen", func() bool { return g.validate(key, machine(1)).status == http.StatusForbidden })
}

// The customer whose machine was refused presses Reset Key and tries again.
func TestResetIsSeenAtOnceByTheRefusedMachine(t *testing.T) {
	key := testKey("reset")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--license-limit", "0")
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	for round := range 5 {
		old, next := machine(round+1), machine(round+2)
		require.Equal(t, 400, g.validate(key, next).status)
		require.Equal(t, 400, g.validate(key, next).status)
		require.Equal(t, 400, g.validate(key, machine(99)).status)
		sim.reset(key)
		require.Equal(t, 201, g.validate(key, next).status)
		require.Equal(t, 400, g.validate(key, old).status, "the old machine is out as soon as the new one is in")
	}
}

// The old machine's cached answer must not keep a new machine out.
func TestResetIsSeenByAMachineThatWasNeverRefused(t *testing.T) {
	key := testKey("moved")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.reset(key)
	assert.Equal(t, 201, g.validate(key, machine(2)).status)
	assert.Equal(t, 400, g.validate(key, machine(1)).status)
}

// A membership's id and its license key are one license.
func TestResetIsSeenByTheRefusedMachineUnderAnotherName(t *testing.T) {
	key := testKey("names")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim)
	id := sim.membership(key).ID
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	require.Equal(t, 400, g.validate(id, machine(3)).status)
	sim.reset(key)
	assert.Equal(t, 201, g.validate(id, machine(2)).status)
	assert.Equal(t, 400, g.validate(key, machine(3)).status)
}

// A mismatch is repeated to other machines without asking Whop again.
func TestMismatchIsCachedForMachinesThatHaveNotAsked(t *testing.T) {
	key := testKey("others")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim)
	for n := 2; n < 30; n++ {
		require.Equal(t, 400, g.validate(key, machine(n)).status)
	}
	assert.Equal(t, 1, sim.calls("v1.get"))
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	assert.Equal(t, 2, sim.calls("v1.get"), "who was refused is looked up again")
}

// An attacker who makes up machines causes look-ups, which are limited.
func TestMismatchIsRepeatedToALimitedNumberOfMachines(t *testing.T) {
	const maxRepeats = 100
	key := testKey("many")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim)
	for n := range maxRepeats {
		require.Equal(t, 400, g.validate(key, machine(n+2)).status)
	}
	before := sim.calls("v1.get")
	require.Equal(t, 400, g.validate(key, machine(maxRepeats+2)).status)
	assert.Equal(t, before+1, sim.calls("v1.get"))
}

func TestUnknownAndInactiveAreCachedBriefly(t *testing.T) {
	t.Parallel()
	key := testKey("inactive")
	sim := startSim(t, []fields{licensed(key, fields{"status": "expired"})})
	g := startGateway(t, sim)
	for range 10 {
		assert.Equal(t, 404, g.validate(testKey("nobody"), machine(1)).status)
		assert.Equal(t, 403, g.validate(key, machine(1)).status)
	}
	assert.Equal(t, 2, sim.calls("v1.get"))
	sim.set(key, fields{"status": "active"})
	eventually(t, "the renewal is seen", func() bool { return g.validate(key, machine(1)).status == http.StatusCreated })
}

// Requests in flight share a look-up, and one that is canceled doesn't affect
// the others.
func TestRequestsInFlightShareALookUp(t *testing.T) {
	t.Parallel()
	key := testKey("shared")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})}, "--latency", "500ms")
	g := startGateway(t, sim)
	impatient, err := http.NewRequest(http.MethodPost, g.url+validatePath(key), strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() {
		hasty := &http.Client{Timeout: 200 * time.Millisecond}
		_, err := hasty.Do(impatient)
		left <- err
	}()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { assert.Equal(t, 201, g.validate(key, machine(1)).status) })
	}
	wg.Wait()
	assert.Error(t, <-left)
	assert.LessOrEqual(t, sim.calls("v1.get"), 2)
}

// A look-up that began before the customer's reset must not refuse a request
// that came after it.
func TestLookUpFromBeforeTheRequestRefusesNobody(t *testing.T) {
	t.Parallel()
	key := testKey("stale")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}, "fault": "slow", "fault_delay": "3s", "fault_on": []string{"v1.get"}, "fault_times": 1})})
	g := startGateway(t, sim, "--upstream-timeout", "10s")
	early := make(chan answer, 1)
	go func() { a, _ := g.tryValidate(key, machine(3)); early <- a }()
	eventually(t, "the first look-up is under way", func() bool { return sim.inFlight("v1.get") == 1 })
	sim.reset(key)
	assert.Equal(t, 201, g.validate(key, machine(2)).status)
	assert.Equal(t, 400, (<-early).status)
}
