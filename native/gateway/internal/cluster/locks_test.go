//go:build unix

package cluster

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// newTestStore returns a gateway's connection to a test's Redis.
func newTestStore(t *testing.T, r *gatewaytest.Redis) *Store {
	t.Helper()
	s := NewStore(r.Options(), tag.NewTagger("k"), gatewaytest.DiscardLog())
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A lock that is no longer held stops the write that it was for.
func TestLockLostBeforeTheWrite(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	s := newTestStore(t, r)
	locks := NewLocks(s, 10*time.Second)
	require.NoError(t, locks.Begin(t.Context()))
	h, err := locks.Obtain(t.Context(), tag.Tag{1})
	require.NoError(t, err)
	require.NoError(t, h.Confirm(t.Context()))
	keys := r.Client().Keys(t.Context(), "*:lock:*").Val()
	require.Len(t, keys, 1)
	require.True(t, strings.HasPrefix(keys[0], s.prefix))
	require.NoError(t, r.Client().PExpire(t.Context(), keys[0], 5*time.Second).Err())
	require.NoError(t, h.Extend(t.Context()))
	assert.Greater(t, r.Client().PTTL(t.Context(), keys[0]).Val(), 5*time.Second)
	require.NoError(t, r.Client().Set(t.Context(), keys[0], "another gateway", 0).Err())
	var busy *check.BusyError
	require.ErrorAs(t, h.Confirm(t.Context()), &busy)
	assert.Equal(t, check.LockLost, busy.Kind)
	require.Error(t, h.Extend(t.Context()))
	h.Release()
	assert.Equal(t, "another gateway", r.Client().Get(t.Context(), keys[0]).Val(), "another's lock is not released")

	// Redis lost its data: nothing is bound until no lock can be left.
	require.NoError(t, r.Client().FlushAll(t.Context()).Err())
	_, err = locks.Obtain(t.Context(), tag.Tag{2})
	require.ErrorAs(t, err, &busy)
	assert.Equal(t, check.RedisRestarted, busy.Kind)
	assert.Greater(t, busy.RetryAfter, 9*time.Second)
	assert.LessOrEqual(t, locks.unsettled(locks.epoch, time.Now().Add(10*time.Second)), time.Duration(0))
}

// deadlines is a hook that records the deadlines of commands.
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

// A lock begins when it is requested from Redis, and a binding after Redis has
// answered all commands: the time between is bounded as a whole.
func TestNoTimeIsLostBetweenLockAndBinding(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	s := newTestStore(t, r)
	locks := NewLocks(s, 10*time.Second)
	require.NoError(t, locks.Begin(t.Context()))
	var d deadlines
	s.rdb.AddHook(&d)
	_, err := locks.Obtain(t.Context(), tag.Tag{1})
	require.NoError(t, err)
	assert.False(t, d.last.After(d.first), "the question for the lock must be the one that sets the end")
}

// A Redis that is restarted from an older snapshot has lost locks, although it
// still has the value that an emptied one would lack.
func TestEpochOfARestartFromASnapshot(t *testing.T) {
	r := gatewaytest.StartRedis(t)
	s := newTestStore(t, r)
	before, err := s.epoch(t.Context())
	require.NoError(t, err)
	again, err := s.epoch(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, again)
	require.NoError(t, r.Client().Save(t.Context()).Err())
	r.Kill()
	r.Start()
	kept, err := r.Client().Get(t.Context(), s.prefix+"epoch").Result()
	require.NoError(t, err)
	var after string
	gatewaytest.Eventually(t, "Redis answers", func() bool { after, err = s.epoch(t.Context()); return err == nil })
	assert.True(t, strings.HasPrefix(after, kept) && strings.HasPrefix(before, kept), "the snapshot was read")
	assert.NotEqual(t, before, after)
	require.NoError(t, r.Client().Do(t.Context(), "ACL", "SETUSER", "default", "-info").Err())
	without, err := s.epoch(t.Context())
	require.NoError(t, err, "who may not ask for the process goes without")
	assert.Equal(t, kept, without)
}

// No epoch is made up if Redis can't be used.
func TestEpochOfADatabaseThatIsNotThere(t *testing.T) {
	options := gatewaytest.StartRedis(t).Options()
	options.DB = 99
	s := NewStore(options, tag.NewTagger("k"), gatewaytest.DiscardLog())
	defer s.Close()
	_, err := s.epoch(t.Context())
	assert.Error(t, err)
}

// A holder has stopped writing before its lock can end.
func TestLocksOutliveBindings(t *testing.T) {
	for _, timeout := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 10 * time.Second} {
		assert.Greater(t, check.LockTime(timeout), check.BindTime(timeout)+2*Timeout)
		assert.GreaterOrEqual(t, check.BindTime(timeout), 3*timeout)
	}
}
