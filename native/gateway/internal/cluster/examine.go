package cluster

import (
	"context"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Condition is what an operator should know about a Redis that works.
type Condition struct {
	MayInfo  bool   // whether INFO may be run; without it the rest is unknown
	Eviction string // maxmemory-policy, which should be noeviction
}

// Examine tries everything that gateways need from Redis, and returns the first
// failure. The store must not be in use otherwise.
func (s *Store) Examine(ctx context.Context) (Condition, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.Follow(ctx, ignore{})
	if err := s.works(ctx); err != nil {
		return Condition{}, err
	}
	info, err := s.rdb.Info(ctx, "memory").Result()
	return Condition{err == nil, infoField(info, "maxmemory_policy")}, nil
}

// ignore is a [Listener] that ignores all news.
type ignore struct{}

func (ignore) Changed(tag.Tag)          {}
func (ignore) RefusedElsewhere(tag.Tag) {}
func (ignore) MissedNews()              {}
