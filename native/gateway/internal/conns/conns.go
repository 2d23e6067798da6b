// Package conns bounds the connections to a server: in total, and per client.
package conns

import (
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

const (
	// clientShare is the divisor for one client's share of all connections.
	clientShare = 16
	// keptWaiting is how many waiting connections are kept however much memory is in
	// use. They need little, and most customers are among them.
	keptWaiting = 500
	// pause is how long each connection waits to be accepted while too much memory is
	// in use. What closed connections used is freed only some time later, so faster
	// strangers would be ahead of it.
	pause = 2 * time.Millisecond
)

// Metrics counts connections.
type Metrics interface {
	// ConnectionsOpen records how many connections are open.
	ConnectionsOpen(n int)
	// ConnectionClosed counts a connection that was closed to make room, or not
	// accepted, by the limit that was reached: "client" for one client's share,
	// "all", or "memory".
	ConnectionClosed(limit string)
}

// Notices logs messages to the seller, each at most once in a while.
type Notices interface {
	// General logs a message that concerns more than one license, at most once per
	// interval for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config configures a [Listener]. Every field but Trusted is required.
type Config struct {
	Max     int            // connections at once
	Trusted []netip.Prefix // proxies, which may hold all of them
	Notices Notices
	Metrics Metrics
}

// Listener accepts connections as long as there is room. If there is none, it
// closes the connection that has waited longest: for a request, or for the rest of
// one.
type Listener struct {
	net.Listener
	config  Config
	crowded atomic.Bool         // too much memory is in use
	sleep   func(time.Duration) // time.Sleep, but in tests

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]*client
	waiting list.List // of *conn, the longest waiting first
}

// client counts the connections from one network.
type client struct {
	open    int
	waiting list.List // of *conn, the longest waiting first; only of narrowest networks
}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn
	from     *Listener
	networks []network.Network // none if the peer is trusted

	// Guarded by the listener's mutex.
	closed                   bool
	busy                     int           // requests that arrived whole and are not answered
	waitingAll, waitingThere *list.Element // nil while busy
}

// Limit returns a listener that keeps at most the configured number of
// connections open. Its server must use [Listener.StateChanged] as ConnState. If
// requests take time, it must also use [Context] as ConnContext, and its handler
// [Busy], or their connections could be closed.
func Limit(l net.Listener, c Config) *Listener {
	return &Listener{Listener: l, config: c, sleep: time.Sleep, clients: map[netip.Prefix]*client{}}
}

// Accept returns the next connection for which there is room.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.crowded.Load() {
			l.sleep(pause)
		}
		c := &conn{Conn: accepted, from: l, networks: l.networksOf(accepted)}
		admitted, victim, limit := l.admit(c)
		if limit != "" {
			l.report(limit)
		}
		if victim != nil {
			_ = victim.Conn.Close()
		}
		if admitted {
			return c, nil
		}
		_ = accepted.Close()
	}
}

func (l *Listener) networksOf(c net.Conn) []network.Network {
	peer := network.Addr(c.RemoteAddr().String())
	if !peer.IsValid() || network.Contain(l.config.Trusted, peer) {
		return nil
	}
	return network.Of(peer)
}

// admit counts a connection if there is room for it. It returns the connection
// to close in its favor, if any, and which limit was reached.
func (l *Listener) admit(c *conn) (admitted bool, victim *conn, limit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range c.networks {
		there := l.clients[n.Prefix]
		if there == nil || there.open < n.Share*max(1, l.config.Max/clientShare) {
			continue
		}
		limit = "client"
		if i > 0 || there.waiting.Len() == 0 {
			return false, victim, limit
		}
		victim = there.waiting.Front().Value.(*conn)
		l.forget(victim)
	}
	if victim == nil && l.open >= l.config.Max {
		limit = "all"
		if l.waiting.Len() == 0 {
			return false, nil, limit
		}
		victim = l.waiting.Front().Value.(*conn)
		l.forget(victim)
	}
	l.open++
	for _, n := range c.networks {
		if l.clients[n.Prefix] == nil {
			l.clients[n.Prefix] = &client{}
		}
		l.clients[n.Prefix].open++
	}
	l.config.Metrics.ConnectionsOpen(l.open)
	return true, victim, limit
}

func (l *Listener) report(limit string) {
	l.config.Metrics.ConnectionClosed(limit)
	switch limit {
	case "client":
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "one client holds as many connections as it may, so some of its connections are closed; if it is your proxy, list it in --trusted-proxies", "connections", l.config.Max/clientShare)
	case "memory":
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "the gateway uses more memory than it should, so many connections without a request are closed; if they are customers', give it more (GOMEMLIMIT)")
	default:
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "the limit of connections is reached, so those that have waited longest for a request, or for the rest of one, are closed; a higher limit of open files (LimitNOFILE) allows more", "connections", l.config.Max)
	}
}

// Watch checks how much memory the process uses, at each interval until the context
// ends. While that is too much, waiting connections are closed, because what they
// have sent so far may be what uses it, and new ones are accepted more slowly.
func (l *Listener) Watch(ctx context.Context, every time.Duration, memory func() (used, most uint64)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		used, most := memory()
		l.crowded.Store(used > most)
		if used > most {
			l.closeWaiting(1 - float64(most)/float64(used))
		}
	}
}

// closeWaiting closes this part of the waiting connections, the longest waiting
// first.
func (l *Listener) closeWaiting(part float64) {
	l.mu.Lock()
	var victims []*conn
	for range min(int(math.Ceil(part*float64(l.waiting.Len()))), l.waiting.Len()-keptWaiting) {
		victim := l.waiting.Front().Value.(*conn)
		l.forget(victim)
		victims = append(victims, victim)
	}
	l.mu.Unlock()
	for _, victim := range victims {
		l.report("memory")
		_ = victim.Conn.Close()
	}
}

// StateChanged tracks since when a connection waits.
func (l *Listener) StateChanged(of net.Conn, _ http.ConnState) {
	if c := limited(of); c != nil {
		l.changed(c, 0)
	}
}

// connKey is the key of a connection in a context.
type connKey struct{}

// Context returns the context for the requests of a connection.
func Context(ctx context.Context, of net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, limited(of))
}

// limited returns the connection that a listener accepted, or nil.
func limited(of net.Conn) *conn {
	if encrypted, ok := of.(*tls.Conn); ok {
		of = encrypted.NetConn()
	}
	c, _ := of.(*conn)
	return c
}

// Busy notes that a request has arrived whole. Until the caller calls done, the
// connection that the request's context has is not closed to make room.
func Busy(ctx context.Context) (done func()) {
	c, _ := ctx.Value(connKey{}).(*conn)
	if c == nil {
		return func() {}
	}
	c.from.changed(c, 1)
	return func() { c.from.changed(c, -1) }
}

// changed notes that a connection has this many more requests in flight. If it has
// none, it waits from now on.
func (l *Listener) changed(c *conn, more int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.busy += more
	if c.closed || c.busy > 0 {
		l.unlist(c)
		return
	}
	if c.waitingAll != nil {
		l.waiting.MoveToBack(c.waitingAll)
		if c.waitingThere != nil {
			l.clients[c.networks[0].Prefix].waiting.MoveToBack(c.waitingThere)
		}
		return
	}
	c.waitingAll = l.waiting.PushBack(c)
	if len(c.networks) > 0 {
		c.waitingThere = l.clients[c.networks[0].Prefix].waiting.PushBack(c)
	}
}

// unlist removes a connection from the lists of waiting ones.
func (l *Listener) unlist(c *conn) {
	if c.waitingAll != nil {
		l.waiting.Remove(c.waitingAll)
	}
	if c.waitingThere != nil {
		l.clients[c.networks[0].Prefix].waiting.Remove(c.waitingThere)
	}
	c.waitingAll, c.waitingThere = nil, nil
}

// forget stops counting a connection.
func (l *Listener) forget(c *conn) {
	if c.closed {
		return
	}
	l.unlist(c)
	c.closed = true
	l.open--
	for _, n := range c.networks {
		there := l.clients[n.Prefix]
		if there.open--; there.open == 0 {
			delete(l.clients, n.Prefix)
		}
	}
	l.config.Metrics.ConnectionsOpen(l.open)
}

// Close closes the connection and makes room for another.
func (c *conn) Close() error {
	c.from.mu.Lock()
	c.from.forget(c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}
