//go:build unix

package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A gateway whose lock is gone by the time it would write writes nothing.
func TestNothingIsWrittenWithoutTheLock(t *testing.T) {
	key := testKey("stolen")
	r := startRedis(t)
	sim := startSim(t, []fields{licensed(key)}, "--latency", "300ms")
	g := startGateway(t, sim, "--redis-url", r.url())
	asked := make(chan answer, 1)
	go func() { a, _ := g.tryValidate(key, machine(1)); asked <- a }()
	var locks []string
	eventually(t, "the license is locked and looked up again", func() bool {
		locks = r.client().Keys(t.Context(), "*:lock:*").Val()
		return len(locks) == 1 && sim.inFlight("v1.get") == 1
	})
	require.NoError(t, r.client().Del(t.Context(), locks[0]).Err())
	assertRefused(t, <-asked, 503, "unavailable")
	assert.Zero(t, sim.calls("v1.patch"))
}

// A lock that is no longer held stops the write that it was taken for.
func TestLockLostBeforeTheWrite(t *testing.T) {
	r := startRedis(t)
	s := r.store()
	locks := newSharedLocks(s, 10*time.Second)
	require.NoError(t, locks.begin(t.Context()))
	h, err := locks.obtain(t.Context(), tag{1})
	require.NoError(t, err)
	require.NoError(t, h.confirm(t.Context()))
	keys := r.client().Keys(t.Context(), "*:lock:*").Val()
	require.Len(t, keys, 1)
	require.True(t, strings.HasPrefix(keys[0], s.prefix))
	require.NoError(t, r.client().PExpire(t.Context(), keys[0], 5*time.Second).Err())
	require.NoError(t, h.prolong(t.Context()))
	assert.Greater(t, r.client().PTTL(t.Context(), keys[0]).Val(), 5*time.Second)
	require.NoError(t, r.client().Set(t.Context(), keys[0], "another gateway", 0).Err())
	var busy *busyError
	require.ErrorAs(t, h.confirm(t.Context()), &busy)
	assert.Equal(t, "lock_lost", busy.reason)
	require.Error(t, h.prolong(t.Context()))
	h.release()
	assert.Equal(t, "another gateway", r.client().Get(t.Context(), keys[0]).Val(), "another's lock is not released")

	// Redis lost its data: nothing is bound until no lock can be left.
	require.NoError(t, r.client().FlushAll(t.Context()).Err())
	_, err = locks.obtain(t.Context(), tag{2})
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, "redis_restarted", busy.reason)
	assert.Greater(t, busy.retryAfter, 9*time.Second)
	assert.LessOrEqual(t, locks.unsettled(locks.epoch, time.Now().Add(10*time.Second)), time.Duration(0))
}

// A caller who leaves after the lock was taken takes neither the lock nor the
// right to write along.
func TestBindingGoesOnWithItsLockWhenItsCallerLeaves(t *testing.T) {
	key := testKey("lockleaver")
	r := startRedis(t)
	sim := startSim(t, []fields{licensed(key)}, "--latency", "300ms")
	g := startGateway(t, sim, "--redis-url", r.url())
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+validatePath(key), strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() { _, err := client.Do(req); left <- err }()
	eventually(t, "the license is locked and looked up again", func() bool {
		return len(r.client().Keys(t.Context(), "*:lock:*").Val()) == 1 && sim.inFlight("v1.get") == 1
	})
	leave()
	require.Error(t, <-left)
	eventually(t, "it is bound", func() bool { return g.logged("bound a license") })
	eventually(t, "the lock is given back", func() bool { return len(r.client().Keys(t.Context(), "*:lock:*").Val()) == 0 })
}

// deadlines is a hook that keeps until when each command may take.
type deadlines struct{ first, last time.Time }

func (d *deadlines) note(ctx context.Context) {
	d.last, _ = ctx.Deadline()
	if d.first.IsZero() {
		d.first = d.last
	}
}

func (d *deadlines) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *deadlines) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { d.note(ctx); return next(ctx, cmd) }
}

func (d *deadlines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { d.note(ctx); return next(ctx, cmds) }
}

// A lock begins when Redis is asked for it, and a binding when all that is asked
// of Redis has been answered: what lies between is bounded as a whole.
func TestNoTimeIsLostBetweenLockAndBinding(t *testing.T) {
	r := startRedis(t)
	s := r.store()
	locks := newSharedLocks(s, 10*time.Second)
	require.NoError(t, locks.begin(t.Context()))
	var d deadlines
	s.rdb.AddHook(&d)
	_, err := locks.obtain(t.Context(), tag{1})
	require.NoError(t, err)
	assert.False(t, d.last.After(d.first), "the question for the lock must be the one that sets the end")
}

// A write that Whop did not answer in time is carried out after all, later than
// it was looked for. Nobody else may have been let in by then.
func TestLateWriteLetsNobodyElseIn(t *testing.T) {
	t.Parallel() // it mostly waits
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
			args := []string{"--upstream-timeout", "300ms", "--license-limit", "0", "--client-limit", "0"}
			if c.redis {
				args = append(args, "--redis-url", startRedis(t).url())
			}
			first, second := startGateway(t, sim, args...), startGateway(t, sim, args...)
			if !c.redis {
				second = first
			}
			assert.Contains(t, []int{201, 503}, first.validate(key, machine(1)).status)
			var a answer
			eventually(t, "an answer", func() bool { a = second.validate(key, machine(2)); return a.status != 503 })
			assertRefused(t, a, 400, "metadata_mismatch")
			assert.Equal(t, 201, first.validate(key, machine(1)).status)
			assert.Equal(t, map[string]any{"HWID": machine(1)}, sim.membership(key).Metadata)
		})
	}
}

// holding is an exclusion that notes what is done with the right to bind.
type holding struct{ prolonged, released int }

func (h *holding) obtain(context.Context, tag) (hold, error) { return h, nil }
func (h *holding) confirm(context.Context) error             { return nil }
func (h *holding) prolong(context.Context) error             { h.prolonged++; return nil }
func (h *holding) release()                                  { h.released++ }

// Only what Whop may still carry out keeps the right, from then on for its whole time.
func TestUnansweredWriteKeepsTheLock(t *testing.T) {
	for fault, kept := range map[string]bool{"504": true, "timeout": true, "failed-write": false, "403": false} {
		key := testKey("keeps")
		sim := startSim(t, []fields{licensed(key, fields{"fault": fault, "fault_on": []string{"v1.patch"}})})
		g := newTestGateway(t, "--upstream-url", sim.url, "--upstream-timeout", "300ms")
		h := &holding{}
		g.gate.exclusion = h
		_, err := g.gate.validate(t.Context(), &query{key: key, sent: metadata{"HWID": {text: machine(1), string: true}}, arrived: time.Now(), keyTag: tag{1}})
		require.Error(t, err, fault)
		if kept {
			assert.Equal(t, 2, h.prolonged, "%s: at each of two attempts", fault)
			assert.Zero(t, h.released, fault)
		} else {
			assert.Zero(t, h.prolonged, fault)
			assert.Equal(t, 1, h.released, fault)
		}
	}
}

// A Redis that comes back from an older snapshot has lost locks, and keeps the
// value by which an empty one is known.
func TestEpochOfARestartFromASnapshot(t *testing.T) {
	r := startRedis(t)
	s := r.store()
	before, err := s.epoch(t.Context())
	require.NoError(t, err)
	again, err := s.epoch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, again)
	require.NoError(t, r.client().Save(t.Context()).Err())
	r.kill()
	r.start()
	kept, err := r.client().Get(t.Context(), s.prefix+"epoch").Result()
	require.NoError(t, err)
	var after string
	eventually(t, "Redis answers", func() bool { after, err = s.epoch(t.Context()); return err == nil })
	assert.True(t, strings.HasPrefix(after, kept) && strings.HasPrefix(before, kept), "the snapshot was read")
	assert.NotEqual(t, before, after)
	require.NoError(t, r.client().Do(t.Context(), "ACL", "SETUSER", "default", "-info").Err())
	without, err := s.epoch(t.Context())
	require.NoError(t, err, "who may not ask for the process goes without")
	assert.Equal(t, kept, without)
}
