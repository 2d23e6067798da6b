package main

import (
	"context"
	"time"
)

// redisCheckEvery is how often it is looked whether Redis works.
const redisCheckEvery = time.Second

// watchRedis makes the gateway ready once Redis has worked, and tells in log and
// metrics whether it does, until the context ends. It returns after the first
// look.
func (g *gateway) watchRedis(ctx context.Context) {
	problem, said, worked := "", time.Time{}, false
	look := func() {
		now := ""
		if err := g.store.works(ctx); err != nil {
			now = err.Error()
		}
		if ctx.Err() != nil {
			return
		}
		g.metrics.redisUp(now == "")
		if now == "" && !worked { // later it is no reason to turn machines away that are bound
			worked = true
			g.api.ready.Store(true)
		}
		switch {
		case now != "" && (problem == "" || time.Since(said) > time.Minute):
			g.log.Error("Redis can't be used; licenses that are bound are served, new ones can't be bound", "error", now)
			said = time.Now()
		case now == "" && problem != "":
			g.log.Info("Redis works")
		}
		problem = now
	}
	look()
	go func() {
		for sleep(ctx, redisCheckEvery) == nil {
			look()
		}
	}()
}
