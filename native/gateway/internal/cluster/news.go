package main

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
)

// news is what gateways tell each other: a message is the name of the gateway
// that sent it, one byte for the kind, and a tag.
type newsKind byte

const (
	newsChanged newsKind = ' ' // a membership changed
	newsRefused newsKind = '!' // of a license key, a membership or a machine, Whop was asked and it was refused
	newsEcho    newsKind = '?' // a gateway listens for its own message, see [store.catchUp]
)

// echoes are the messages to itself that a gateway waits for.
type echoes struct {
	begin   sync.Once
	begun   chan struct{} // closed with the first connection
	again   chan struct{} // asks for a new connection
	mu      sync.Mutex
	waiting map[tag]chan struct{}
	flight  singleflight.Group
}

func (s *store) tell(ctx context.Context, kind newsKind, t tag) error {
	return s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Publish(ctx, s.prefix+"changed", s.self+string(append([]byte{byte(kind)}, t[:]...))).Err()
	})
}

// publish tells all gateways that a membership changed.
func (s *store) publish(ctx context.Context, member tag) error {
	return s.tell(ctx, newsChanged, member)
}

// tellRefused tells all gateways that Whop was asked about a license key, a
// membership or a machine and that the answer was no.
func (s *store) tellRefused(ctx context.Context, t tag) error { return s.tell(ctx, newsRefused, t) }

// follow keeps the cache at what other gateways tell, until the context ends.
func (s *store) follow(ctx context.Context, c *cache) {
	for ctx.Err() == nil {
		s.listen(ctx, c)
	}
}

// listen is one subscription. It is given up when it turned out to be deaf: the
// client connects anew by itself, but not where it was not allowed to subscribe.
// News that was missed while Redis was away could be about anything, so each
// new connection empties the cache.
func (s *store) listen(ctx context.Context, c *cache) {
	sub := s.rdb.Subscribe(ctx, s.prefix+"changed")
	defer sub.Close()
	news := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.echoes.again:
			return
		case event, open := <-news:
			if !open {
				return
			}
			switch e := event.(type) {
			case *redis.Subscription:
				c.dropAll()
				s.echoes.begin.Do(func() { close(s.echoes.begun) })
			case *redis.Message:
				s.heard(e.Payload, c)
			}
		}
	}
}

func (s *store) heard(message string, c *cache) {
	n := len(s.self)
	if len(message) != n+1+len(tag{}) {
		return
	}
	own, kind, t := message[:n] == s.self, newsKind(message[n]), tag([]byte(message[n+1:]))
	switch {
	case own && kind == newsEcho:
		s.echoes.mu.Lock()
		defer s.echoes.mu.Unlock()
		if wait, ok := s.echoes.waiting[t]; ok {
			delete(s.echoes.waiting, t)
			close(wait)
		}
	case own:
	case kind == newsChanged:
		c.drop(t)
	case kind == newsRefused:
		c.refusedElsewhere(t)
	}
}

// catchUp returns once all that other gateways have told until now has been
// heard, or an error where that can't be known: a message of its own has come
// back, and messages arrive in the order in which they were sent.
func (s *store) catchUp(ctx context.Context) error {
	_, err, _ := s.echoes.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
		defer cancel()
		select {
		case <-s.echoes.begun:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var t tag
		_, _ = rand.Read(t[:])
		back := make(chan struct{})
		s.echoes.mu.Lock()
		s.echoes.waiting[t] = back
		s.echoes.mu.Unlock()
		defer func() {
			s.echoes.mu.Lock()
			defer s.echoes.mu.Unlock()
			delete(s.echoes.waiting, t)
		}()
		if err := s.tell(ctx, newsEcho, t); err != nil {
			return nil, err
		}
		select {
		case <-back:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	return err
}

// listenAgain has the subscription made anew.
func (s *store) listenAgain() {
	select {
	case s.echoes.again <- struct{}{}:
	default: // it is being done
	}
}
