package main

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// race makes 50 machines use a license for the first time at once, on all
// gateways, with 300 requests in total. It returns the answers of each machine.
func race(t *testing.T, key string, gateways ...*gw) map[string][]answer {
	t.Helper()
	const machines, requests = 50, 300
	var mu sync.Mutex
	answers := map[string][]answer{}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range requests {
		wg.Go(func() {
			<-start
			hwid := machine(n % machines)
			a := insist(gateways[n/machines%len(gateways)], key, hwid)
			mu.Lock()
			defer mu.Unlock()
			answers[hwid] = append(answers[hwid], a)
		})
	}
	close(start)
	wg.Wait()
	return answers
}

// insist asks once more if this machine is so busy that a connection was closed
// before it was used, or that the turn did not come in time. A refusal that
// comes sooner is an answer.
func insist(g *gw, key, hwid string) (a answer) {
	for range 5 {
		began := time.Now()
		var err error
		if a, err = g.tryValidate(key, hwid); err != nil {
			a = answer{status: -1, body: err.Error()}
		} else if a.status != http.StatusServiceUnavailable || time.Since(began) < check.LockPatience {
			return a
		}
	}
	return a
}

// assertOneWinner asserts that one machine was let in and is the one stored,
// and that all others were refused; if the test allows it, some had no answer.
func assertOneWinner(t *testing.T, sim *simulator, key string, answers map[string][]answer, allowed ...int) (winner string) {
	t.Helper()
	for hwid, all := range answers {
		for _, a := range all {
			switch {
			case a.status == http.StatusCreated && winner == "":
				winner = hwid
			case a.status == http.StatusCreated:
				assert.Equal(t, winner, hwid, "two machines were let in")
			case a.code() == "metadata_mismatch":
			default:
				assert.Contains(t, allowed, a.status, a.body)
			}
		}
	}
	stored := sim.membership(key).Metadata
	if winner != "" {
		assert.Equal(t, map[string]any{"HWID": winner}, stored)
		for _, a := range answers[winner] {
			assert.NotEqual(t, "metadata_mismatch", a.code(), "the winner was refused")
		}
	}
	return winner
}

func TestRaceForFirstUseOnOneGateway(t *testing.T) {
	key := testKey("race")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	assert.NotEmpty(t, assertOneWinner(t, sim, key, race(t, key, g)))
	assert.Equal(t, 1, sim.calls("v1.patch"))
	assert.Less(t, sim.calls("v1.get"), 100, "requests share look-ups")
}

func TestRaceWithASlowUpstream(t *testing.T) {
	key := testKey("slow")
	sim := startSim(t, []fields{licensed(key)}, "--latency", "150ms", "--latency-jitter", "150ms")
	g := startGateway(t, sim)
	assert.NotEmpty(t, assertOneWinner(t, sim, key, race(t, key, g)))
	assert.Equal(t, 1, sim.calls("v1.patch"))
	assert.Less(t, sim.calls("v1.get"), 20, "who waited for a binding takes what it found")
}

// If calls fail at random, some machines may get no answer, but never a wrong
// one, and asking again helps.
func TestRaceWithARandomlyFailingUpstream(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"random-500", "lost-write", "truncated", "reset"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			key := testKey("flaky")
			sim := startSim(t, []fields{licensed(key, fields{"fault": fault, "fault_probability": 0.3})})
			g := startGateway(t, sim, "--license-limit", "0")
			answers := race(t, key, g)
			winner := assertOneWinner(t, sim, key, answers, 503)
			for n := range 50 {
				var a answer
				eventually(t, "an answer", func() bool {
					a = g.validate(key, machine(n))
					return a.status != 503
				})
				if a.status == 201 && winner == "" {
					winner = machine(n)
				}
				assert.Equal(t, machine(n) == winner, a.status == 201, a.body)
			}
		})
	}
}

func TestRaceForSeveralMachines(t *testing.T) {
	key := testKey("several")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--max-machines", "5")
	in := 0
	for _, all := range race(t, key, g) {
		counts := statuses(all)
		assert.Len(t, counts, 1, "a machine has one answer: %v", counts)
		in += min(1, counts[201])
	}
	assert.Equal(t, 5, in)
	assert.Len(t, sim.membership(key).Metadata, 5)
}
