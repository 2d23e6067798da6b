package cluster

import (
	"context"
	"log/slog"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// healthEvery is how often Redis is probed.
const healthEvery = time.Second

// Metrics records the state of Redis.
type Metrics interface {
	// RedisUp records whether Redis works.
	RedisUp(up bool)
}

// Health monitors whether Redis works.
type Health struct {
	Store   *Store
	Metrics Metrics
	Log     *slog.Logger
	Worked  func() // called once, when Redis has worked for the first time

	problem string    // what was wrong at the last probe, or empty
	logged  time.Time // when it was last logged
	worked  bool
}

// Watch probes Redis, at once and then every second, until the context ends. It
// returns after the first probe.
func (h *Health) Watch(ctx context.Context) {
	h.probe(ctx)
	go func() {
		for check.Sleep(ctx, healthEvery) == nil {
			h.probe(ctx)
		}
	}()
}

func (h *Health) probe(ctx context.Context) {
	now := ""
	if err := h.Store.works(ctx); err != nil {
		now = err.Error()
	}
	if ctx.Err() != nil {
		return
	}
	h.Metrics.RedisUp(now == "")
	if now == "" && !h.worked { // if Redis fails later, machines that are bound are still served
		h.worked = true
		h.Worked()
	}
	switch {
	case now != "" && (h.problem == "" || time.Since(h.logged) > time.Minute):
		h.Log.Error("Redis can't be used; licenses that are already bound are served, but new ones can't be bound", "error", now)
		h.logged = time.Now()
	case now == "" && h.problem != "":
		h.Log.Info("Redis works")
	}
	h.problem = now
}
