// Package conns bounds the connections that a server holds: all together, and
// those of one client.
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
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

const (
	// clientShare is which part of all connections one client may hold.
	clientShare = 16
	// keptWaiting is how many connections that wait are kept however much memory is
	// taken. They take little, and most customers are among them.
	keptWaiting = 500
)

// Metrics count connections.
type Metrics interface {
	// ConnectionsOpen tells how many connections are open.
	ConnectionsOpen(n int)
	// ConnectionClosed counts a connection that was closed to make room, or not
	// taken: for the "client"'s sake, as it holds its share, for "all", or for the
	// sake of "memory".
	ConnectionClosed(limit string)
}

// Notices are messages to the seller, each of them logged once in a while.
type Notices interface {
	// General logs a message that concerns more than one license, at most once in
	// the given span of time for each subject.
	General(level slog.Level, every time.Duration, subject, msg string, args ...any)
}

// Config is what a [Listener] works by and with. Every field but Trusted is
// needed.
type Config struct {
	Max     int            // connections at once
	Trusted []netip.Prefix // proxies, which may hold all of them
	Notices Notices
	Metrics Metrics
}

// Listener takes connections as long as there is room. Where there is none, it
// closes one that waits: on which the client has no request under way. The one
// that has waited longest goes first.
type Listener struct {
	net.Listener
	config Config

	mu      sync.Mutex
	open    int
	clients map[netip.Prefix]*client
	waiting list.List // of *conn, the longest waiting first
}

// client is the connections of one network.
type client struct {
	open    int
	waiting list.List // of *conn, the longest waiting first; only of narrowest networks
}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn
	from     *Listener
	networks []network.Network // none where the peer is trusted

	// Guarded by the listener's mutex.
	closed                   bool
	waitingAll, waitingThere *list.Element // nil while a request is under way
}

// Limit returns a listener that holds the configured number of connections. The
// server that it is for must call [Listener.StateChanged] as its ConnState.
func Limit(l net.Listener, c Config) *Listener {
	return &Listener{Listener: l, config: c, clients: map[netip.Prefix]*client{}}
}

// Accept returns the next connection for which there is room.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: accepted, from: l, networks: l.networksOf(accepted)}
		taken, victim, limit := l.take(c)
		if limit != "" {
			l.tell(limit)
		}
		if victim != nil {
			_ = victim.Conn.Close()
		}
		if taken {
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

// take counts a connection if there is room for it. It returns the connection
// that has to make room, if one has to, and which limit was reached.
func (l *Listener) take(c *conn) (taken bool, victim *conn, limit string) {
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

func (l *Listener) tell(limit string) {
	l.config.Metrics.ConnectionClosed(limit)
	switch limit {
	case "client":
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "one client holds as many connections as it may, so some of its connections are closed; if it is a proxy of yours, name it with --trusted-proxies", "connections", l.config.Max/clientShare)
	case "memory":
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "the gateway takes more memory than it should, so many of the connections that wait are closed; if these are customers', give it more (GOMEMLIMIT)")
	default:
		l.config.Notices.General(slog.LevelWarn, time.Minute, limit, "as many connections are open as the gateway holds, so those that wait longest are closed; it may hold more with a higher limit of open files (LimitNOFILE)", "connections", l.config.Max)
	}
}

// Watch looks at how much memory the process takes, again and again until the
// context ends. While that is more than it should be, connections that wait are
// closed, as what they have sent so far may be what takes it.
func (l *Listener) Watch(ctx context.Context, every time.Duration, memory func() (taken, most uint64)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		if taken, most := memory(); taken > most {
			l.relieve(1 - float64(most)/float64(taken))
		}
	}
}

// relieve closes a part of the connections that wait, the longest waiting first.
func (l *Listener) relieve(part float64) {
	l.mu.Lock()
	var victims []*conn
	for range min(int(math.Ceil(part*float64(l.waiting.Len()))), l.waiting.Len()-keptWaiting) {
		victim := l.waiting.Front().Value.(*conn)
		l.forget(victim)
		victims = append(victims, victim)
	}
	l.mu.Unlock()
	for _, victim := range victims {
		l.tell("memory")
		_ = victim.Conn.Close()
	}
}

// StateChanged notes whether a request is under way on a connection.
func (l *Listener) StateChanged(of net.Conn, state http.ConnState) {
	if encrypted, ok := of.(*tls.Conn); ok {
		of = encrypted.NetConn()
	}
	c, ok := of.(*conn)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlist(c)
	if c.closed || state != http.StateNew && state != http.StateIdle {
		return
	}
	c.waitingAll = l.waiting.PushBack(c)
	if len(c.networks) > 0 {
		c.waitingThere = l.clients[c.networks[0].Prefix].waiting.PushBack(c)
	}
}

// unlist takes a connection from those that wait.
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
