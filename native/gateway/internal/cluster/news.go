package cluster

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// Listener receives the news from other gateways.
type Listener interface {
	// Changed receives the news that a membership changed.
	Changed(member tag.Tag)
	// RefusedElsewhere receives the news that Whop was asked about a license key, a
	// membership or a machine, and that the answer was no.
	RefusedElsewhere(refused tag.Tag)
	// MissedNews says that any news may have been missed.
	MissedNews()
}

// newsKind is the kind of a message between gateways. A message is the name of
// the gateway that sent it, one byte for the kind, and a tag.
type newsKind byte

const (
	newsChanged newsKind = ' ' // a membership changed
	newsRefused newsKind = '!' // Whop was asked about a license key, a membership or a machine, and the answer was no
	newsEcho    newsKind = '?' // a gateway listens for its own message, see [Store.CatchUp]
)

// echoes are a gateway's messages to itself, which show that it receives all
// news.
type echoes struct {
	begin   sync.Once
	begun   chan struct{} // closed with the first connection
	again   chan struct{} // asks for a new connection
	mu      sync.Mutex
	waiting map[tag.Tag]chan struct{}
	flight  flight
}

// flight shares calls among those who ask at the same time.
type flight struct{ group singleflight.Group }

// do makes a call, or waits for one of another that began after do did: what a
// call in flight shows may be older than the question.
func (f *flight) do(call func() error) error {
	var mine bool
	once := func() (any, error) { mine = true; return nil, call() }
	_, err, _ := f.group.Do("", once)
	if !mine && err == nil { // a second one can only have begun after the first had ended
		_, err, _ = f.group.Do("", once)
	}
	return err
}

func (s *Store) tell(ctx context.Context, kind newsKind, t tag.Tag) error {
	return s.do(ctx, func(ctx context.Context) error {
		return s.rdb.Publish(ctx, s.prefix+"changed", s.self+string(append([]byte{byte(kind)}, t[:]...))).Err()
	})
}

// TellChanged tells all gateways that a membership changed.
func (s *Store) TellChanged(ctx context.Context, member tag.Tag) error {
	return s.tell(ctx, newsChanged, member)
}

// TellRefused tells all gateways that Whop was asked about a license key, a
// membership or a machine, and that the answer was no.
func (s *Store) TellRefused(ctx context.Context, refused tag.Tag) error {
	return s.tell(ctx, newsRefused, refused)
}

// Follow passes on the news from other gateways until the context ends.
func (s *Store) Follow(ctx context.Context, to Listener) {
	for ctx.Err() == nil {
		s.listen(ctx, to)
	}
}

// listen holds one subscription until the context ends or [Store.listenAgain]
// ends it: the Redis client reconnects by itself, but does not repeat a
// subscription that was denied. Each new connection may have missed news.
func (s *Store) listen(ctx context.Context, to Listener) {
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
				to.MissedNews()
				s.echoes.begin.Do(func() { close(s.echoes.begun) })
			case *redis.Message:
				s.heard(e.Payload, to)
			}
		}
	}
}

func (s *Store) heard(message string, to Listener) {
	n := len(s.self)
	if len(message) != n+1+tag.Size {
		return
	}
	own, kind, t := message[:n] == s.self, newsKind(message[n]), tag.Tag([]byte(message[n+1:]))
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
		to.Changed(t)
	case kind == newsRefused:
		to.RefusedElsewhere(t)
	}
}

// CatchUp returns once this gateway has received everything that the others
// have told until now, or an error if it can't know that. Messages arrive in
// the order in which they were sent, so it sends one and waits for it to come
// back.
func (s *Store) CatchUp(ctx context.Context) error {
	return s.echoes.flight.do(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
		defer cancel()
		select {
		case <-s.echoes.begun:
		case <-ctx.Done():
			return ctx.Err()
		}
		var t tag.Tag
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
			return err
		}
		select {
		case <-back:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// listenAgain makes [Store.Follow] subscribe again.
func (s *Store) listenAgain() {
	select {
	case s.echoes.again <- struct{}{}:
	default: // it is being done
	}
}
