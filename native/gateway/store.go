package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

// store is what several gateways of one seller share in Redis: locks, the
// quota, who was refused, and news of memberships that changed. It holds no
// license key, no metadata and nothing about a person.
type store struct {
	rdb     *redis.Client
	prefix  string
	self    string // tells this gateway's own news from others'
	breaker *gobreaker.CircuitBreaker[struct{}]
	metrics *metrics
	log     *slog.Logger
}

const (
	redisTimeout = time.Second
	// redisRest is how long Redis is left alone after it failed three times.
	redisRest = time.Second
	// refusedFor is how long it is remembered that a machine was refused: time to
	// reset the key.
	refusedFor = 10 * time.Minute
)

func newStore(options *redis.Options, tags tagger, m *metrics, log *slog.Logger) *store {
	options.DialTimeout = redisTimeout
	options.ReadTimeout = redisTimeout
	options.WriteTimeout = redisTimeout
	options.PoolTimeout = redisTimeout
	options.MaxRetries = 1 // everything asked of Redis here may be asked twice
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.ClientName = "whop-license-gateway"
	options.DisableIdentity = true
	return &store{
		rdb:     redis.NewClient(options),
		prefix:  "whop-license:" + tags.of("namespace", nil).String() + ":",
		self:    rand.Text(),
		metrics: m,
		log:     log,
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     redisRest,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
			IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				m.redisUp(to == gobreaker.StateClosed)
				log.Warn("the connection to Redis changed", "up", to == gobreaker.StateClosed)
			},
		}),
	}
}

// do asks Redis, in bounded time, unless it has just failed.
func (s *store) do(ctx context.Context, ask func(context.Context) error) error {
	_, err := s.breaker.Execute(func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*redisTimeout)
		defer cancel()
		return struct{}{}, ask(ctx)
	})
	return err
}

func (s *store) ping(ctx context.Context) error {
	return s.do(ctx, func(ctx context.Context) error { return s.rdb.Ping(ctx).Err() })
}

// epoch returns a value that changes when Redis may have lost data: when it was
// emptied, and when another process answers, after a restart from an older
// snapshot or a failover. Who may not ask for the process learns of the first.
func (s *store) epoch(ctx context.Context) (epoch string, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		key := s.prefix + "epoch"
		pipe := s.rdb.Pipeline()
		pipe.SetNX(ctx, key, rand.Text(), 0)
		get, info := pipe.Get(ctx, key), pipe.Info(ctx, "server")
		_, _ = pipe.Exec(ctx) // each has its own error
		if err := get.Err(); err != nil {
			return err
		}
		epoch = get.Val() + processID(info.Val())
		return nil
	})
	return epoch, err
}

// processID finds run_id in what INFO says.
func processID(info string) string {
	_, after, _ := strings.Cut(info, "\nrun_id:")
	id, _, _ := strings.Cut(after, "\r")
	return id
}

// publish tells all gateways that a membership changed.
func (s *store) publish(ctx context.Context, member tag) error {
	return s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Publish(ctx, s.prefix+"changed", s.self+" "+string(member[:])).Err()
	})
}

// follow drops from the cache what other gateways say has changed, until the
// context ends. News that was missed while Redis was away could be about
// anything, so each new connection empties the cache.
func (s *store) follow(ctx context.Context, c *cache) {
	sub := s.rdb.Subscribe(ctx, s.prefix+"changed")
	defer sub.Close()
	news := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-news:
			if !open {
				return
			}
			switch e := event.(type) {
			case *redis.Subscription:
				c.dropAll()
			case *redis.Message:
				n := len(s.self)
				if len(e.Payload) == n+1+len(tag{}) && e.Payload[:n] != s.self {
					c.drop(tag([]byte(e.Payload[n+1:])))
				}
			}
		}
	}
}

// markRefused remembers that a machine was told no.
func (s *store) markRefused(ctx context.Context, machine tag) error {
	return s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Set(ctx, s.prefix+"refused:"+machine.String(), "", refusedFor).Err()
	})
}

// wasRefused reports whether a machine was told no before. In doubt it was:
// then Whop is asked.
func (s *store) wasRefused(ctx context.Context, machine tag) bool {
	var n int64
	err := s.do(ctx, func(ctx context.Context) (err error) {
		n, err = s.rdb.Exists(ctx, s.prefix+"refused:"+machine.String()).Result()
		return err
	})
	return err != nil || n > 0
}
