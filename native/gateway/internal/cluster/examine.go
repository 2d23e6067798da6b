package cluster

import (
	"context"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Condition is what an operator should know of a Redis that works.
type Condition struct {
	MayInfo  bool   // whether INFO may be run; without it the rest is unknown
	Eviction string // maxmemory-policy, which should be noeviction
}

// Examine tries everything that gateways need of Redis, and returns what fails
// first. It is for a store that nothing else uses.
func (s *Store) Examine(ctx context.Context) (Condition, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.Follow(ctx, deaf{})
	if err := s.works(ctx); err != nil {
		return Condition{}, err
	}
	info, err := s.rdb.Info(ctx, "memory").Result()
	return Condition{err == nil, infoField(info, "maxmemory_policy")}, nil
}

// deaf is the [Listener] of a store that serves nobody.
type deaf struct{}

func (deaf) Changed(tag.Tag)          {}
func (deaf) RefusedElsewhere(tag.Tag) {}
func (deaf) MissedNews()              {}
