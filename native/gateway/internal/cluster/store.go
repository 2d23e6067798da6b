// Package cluster implements what several gateways of one seller share in
// Redis: locks, the quota for calls to Whop, who was refused, and news of what
// changed. Redis holds no license key, no metadata and no personal data, and
// may lose everything at any time.
package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Store is one gateway's connection to the Redis that several share. It is the
// [check.Peers] and the [check.Refusals] of that gateway.
type Store struct {
	rdb     *redis.Client
	prefix  string
	self    string // distinguishes this gateway's own news from others'
	breaker *gobreaker.CircuitBreaker[struct{}]
	echoes  echoes
	noInfo  sync.Once // the warning that INFO is not permitted
	log     *slog.Logger
}

const (
	// Timeout is the timeout for one Redis command.
	Timeout = time.Second
	// redisRest is how long Redis is not asked after it failed three times in a
	// row.
	redisRest = time.Second
	// refusedFor is how long a refused machine is remembered, which gives its
	// customer time to reset the key.
	refusedFor = 10 * time.Minute
)

// NewStore returns a store that has no connection yet. It completes the options.
func NewStore(options *redis.Options, tags tag.Tagger, log *slog.Logger) *Store {
	options.DialTimeout = Timeout
	options.ReadTimeout = Timeout
	options.WriteTimeout = Timeout
	options.PoolTimeout = Timeout
	options.MaxRetries = 1 // every command here may be repeated safely
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.ClientName = "whop-license-gateway"
	options.DisableIdentity = true
	return &Store{
		rdb:    redis.NewClient(options),
		prefix: "whop-license:" + tags.Of("namespace", nil).String() + ":",
		self:   rand.Text(),
		log:    log,
		echoes: echoes{begun: make(chan struct{}), again: make(chan struct{}, 1), waiting: map[tag.Tag]chan struct{}{}},
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     redisRest,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
			IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				log.Warn("the connection to Redis changed", "up", to == gobreaker.StateClosed)
			},
		}),
	}
}

// Close ends all connections.
func (s *Store) Close() error { return s.rdb.Close() }

// do runs commands in bounded time, unless Redis has just failed.
func (s *Store) do(ctx context.Context, ask func(context.Context) error) error {
	_, err := s.breaker.Execute(func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*Timeout)
		defer cancel()
		return struct{}{}, ask(ctx)
	})
	return err
}

// workScript tests whether Redis runs scripts.
var workScript = redis.NewScript(`return redis.call("GET", KEYS[1])`)

// works returns an error unless Redis works: it is of a supported kind, a
// write, a read and a script succeed, and this gateway receives its own
// messages.
func (s *Store) works(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*Timeout)
	defer cancel()
	info, err := s.rdb.Info(ctx, "server").Result()
	if redis.HasErrorPrefix(err, "NOPERM") {
		s.noInfo.Do(func() {
			s.log.Warn("the Redis user may not run INFO, so the gateway does not notice when another Redis takes over and locks are lost; give the user +info")
		})
	}
	if err == nil {
		if err := supportedMode(infoField(info, "redis_mode")); err != nil {
			return err
		}
	}
	key, want := s.prefix+"works:"+s.self, rand.Text()
	if err := s.rdb.Set(ctx, key, want, time.Minute).Err(); err != nil {
		return fmt.Errorf("a write failed: %w", err)
	}
	if got, err := s.rdb.Get(ctx, key).Result(); err != nil || got != want {
		return fmt.Errorf("a read failed: %w", cmp.Or(err, errNotWritten))
	}
	if got, err := workScript.Run(ctx, s.rdb, []string{key}).Text(); err != nil || got != want {
		return fmt.Errorf("a script failed: %w", cmp.Or(err, errNotWritten))
	}
	if err := s.CatchUp(ctx); err != nil {
		s.listenAgain()
		return fmt.Errorf("a published message did not come back: %w", err)
	}
	return nil
}

var errNotWritten = errors.New("it did not return what was written")

// supportedMode rejects kinds of Redis that gateways can't share.
func supportedMode(mode string) error {
	switch mode {
	case "sentinel":
		return errors.New("this is a Redis Sentinel, which holds no data; set --redis-url to an address that always leads to the primary, such as that of a proxy in front of it")
	case "cluster":
		return errors.New("this is a node of a Redis Cluster, which is not supported; use a Redis without cluster mode")
	}
	return nil
}

// epoch returns a value that changes when Redis may have lost data: when it was
// emptied, and when another process answers, after a restart from an older
// snapshot or a failover. Without permission to run INFO, only an emptied Redis
// is detected.
func (s *Store) epoch(ctx context.Context) (epoch string, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		key := s.prefix + "epoch"
		pipe := s.rdb.Pipeline()
		pipe.SetNX(ctx, key, rand.Text(), 0)
		get, info := pipe.Get(ctx, key), pipe.Info(ctx, "server")
		// Without a connection, the pipeline fails as a whole and its commands have no
		// errors of their own. INFO alone may fail for lack of permission.
		_, err := pipe.Exec(ctx)
		if get.Val() == "" {
			return cmp.Or(err, errNotWritten)
		}
		epoch = get.Val() + infoField(info.Val(), "run_id")
		return nil
	})
	return epoch, err
}

// infoField finds a field in the output of INFO.
func infoField(info, name string) string {
	_, after, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(after, "\r")
	return value
}

// MarkRefused remembers a machine for [refusedFor].
func (s *Store) MarkRefused(ctx context.Context, machine tag.Tag) error {
	return s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Set(ctx, s.prefix+"refused:"+machine.String(), "", refusedFor).Err()
	})
}

// WasRefused reports whether a machine is remembered. If Redis fails, it
// returns true, so that Whop is asked.
func (s *Store) WasRefused(ctx context.Context, machine tag.Tag) bool {
	var n int64
	err := s.do(ctx, func(ctx context.Context) (err error) {
		n, err = s.rdb.Exists(ctx, s.prefix+"refused:"+machine.String()).Result()
		return err
	})
	return err != nil || n > 0
}

const (
	// noteFor is how long the last refusal of a membership is remembered.
	noteFor = 30 * 24 * time.Hour
	// noteTime bounds how long an answer waits for that.
	noteTime = 200 * time.Millisecond
)

// NoteRefusal records for the seller that a membership was refused now, and
// how.
func (s *Store) NoteRefusal(ctx context.Context, member tag.Tag, outcome check.Outcome) {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	_ = s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Set(ctx, s.prefix+"last:"+member.String(), fmt.Sprintf("%d %s", time.Now().Unix(), outcome), noteFor).Err()
	})
}

// LastRefusal returns what was recorded last, or the zero Refusal.
func (s *Store) LastRefusal(ctx context.Context, member tag.Tag) (last check.Refusal) {
	var text string
	err := s.do(ctx, func(ctx context.Context) (err error) {
		text, err = s.rdb.Get(ctx, s.prefix+"last:"+member.String()).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	at, outcome, _ := strings.Cut(text, " ")
	if seconds, bad := strconv.ParseInt(at, 10, 64); err == nil && bad == nil {
		last = check.Refusal{At: time.Unix(seconds, 0), Outcome: outcome}
	}
	return last
}
