//go:build unix

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// A gateway whose lock is gone by the time it would write writes nothing.
func TestNothingIsWrittenWithoutTheLock(t *testing.T) {
	t.Parallel()
	key := testKey("stolen")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)}, "--latency", "1s")
	g := startGateway(t, sim, "--redis-url", r.URL())
	asked := make(chan answer, 1)
	go func() { a, _ := g.tryValidate(key, machine(1)); asked <- a }()
	var locks []string
	eventually(t, "the license is locked and looked up again", func() bool {
		locks = r.Client().Keys(t.Context(), "*:lock:*").Val()
		return len(locks) == 1 && sim.inFlight("v1.get") == 1
	})
	require.NoError(t, r.Client().Del(t.Context(), locks[0]).Err())
	assertRefused(t, <-asked, 503, "unavailable")
	assert.Zero(t, sim.calls("v1.patch"))
}

// A caller who leaves after the lock was taken takes neither the lock nor the
// right to write along.
func TestBindingGoesOnWithItsLockWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()
	key := testKey("lockleaver")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)}, "--latency", "1s")
	g := startGateway(t, sim, "--redis-url", r.URL())
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+validatePath(key), strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() { _, err := client.Do(req); left <- err }()
	eventually(t, "the license is locked and looked up again", func() bool {
		return len(r.Client().Keys(t.Context(), "*:lock:*").Val()) == 1 && sim.inFlight("v1.get") == 1
	})
	leave()
	require.Error(t, <-left)
	eventually(t, "it is bound", func() bool { return g.logged("bound a license") })
	eventually(t, "the lock is given back", func() bool { return len(r.Client().Keys(t.Context(), "*:lock:*").Val()) == 0 })
}

// A write that Whop did not answer in time is carried out after all, later than
// it was looked for. Nobody else may have been let in by then.
func TestLateWriteLetsNobodyElseIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault string
		times int
		redis bool
	}{
		"alone":                  {"late-write", 1, false},
		"with Redis":             {"late-write", 1, true},
		"alone, twice":           {"late-write", 2, false},
		"with Redis, twice":      {"late-write", 2, true},
		"alone, by a proxy":      {"late-write-504", 2, false},
		"with Redis, by a proxy": {"late-write-504", 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := testKey("late")
			sim := startSim(t, []fields{licensed(key, fields{"fault": c.fault, "fault_delay": "3s", "fault_times": c.times})})
			args := []string{"--upstream-timeout", "1s", "--license-limit", "0", "--client-limit", "0"}
			if c.redis {
				args = append(args, "--redis-url", gatewaytest.StartRedis(t).URL())
			}
			first, second := startGateway(t, sim, args...), startGateway(t, sim, args...)
			if !c.redis {
				second = first
			}
			eventually(t, "machine 1's write has begun", func() bool {
				assert.Contains(t, []int{201, 503}, first.validate(key, machine(1)).status)
				return sim.calls("v1.patch") > 0
			})
			var a answer
			eventually(t, "an answer", func() bool { a = second.validate(key, machine(2)); return a.status != 503 })
			assertRefused(t, a, 400, "metadata_mismatch")
			assert.Equal(t, 201, first.validate(key, machine(1)).status)
			assert.Equal(t, map[string]any{"HWID": machine(1)}, sim.membership(key).Metadata)
		})
	}
}

// holding is an exclusion that notes what is done with the right to bind.
type holding struct{ extended, released int }

func (h *holding) Obtain(context.Context, tag.Tag) (check.Hold, error) { return h, nil }
func (h *holding) Confirm(context.Context) error                       { return nil }
func (h *holding) Extend(context.Context) error                        { h.extended++; return nil }
func (h *holding) Release()                                            { h.released++ }

// Only what Whop may still carry out keeps the right, from then on for its whole time.
func TestUnansweredWriteKeepsTheLock(t *testing.T) {
	t.Parallel()
	for fault, kept := range map[string]bool{"504": true, "timeout": true, "failed-write": false, "403": false} {
		key := testKey("keeps")
		sim := startSim(t, []fields{licensed(key, fields{"fault": fault, "fault_on": []string{"v1.patch"}})})
		h := &holding{}
		g := newTestGateway(t, func(with *shared) { with.exclusion = h }, append(patience(fault), "--upstream-url", sim.url)...)
		_, err := g.checker.Check(t.Context(), &check.Query{Key: key, Sent: binding.Metadata{"HWID": {Text: machine(1), IsString: true}}, Arrived: time.Now()})
		require.Error(t, err, fault)
		if kept {
			assert.Equal(t, 2, h.extended, "%s: at each of two attempts", fault)
			assert.Zero(t, h.released, fault)
		} else {
			assert.Zero(t, h.extended, fault)
			assert.Equal(t, 1, h.released, fault)
		}
	}
}
