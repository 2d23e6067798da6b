package conns

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// arrived is a listener with a queue of connections, from any address.
type arrived struct{ queue []net.Conn }

func (a *arrived) Accept() (net.Conn, error) {
	if len(a.queue) == 0 {
		return nil, net.ErrClosed
	}
	c := a.queue[0]
	a.queue = a.queue[1:]
	return c, nil
}
func (*arrived) Close() error   { return nil }
func (*arrived) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection from an address. It records whether it was closed.
type from struct {
	net.Conn
	addr   string
	closed bool
}

func (f *from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.addr), 4711))
}
func (f *from) Close() error { f.closed = true; return nil }

// door is a limited listener, and what it reported.
type door struct {
	*Listener
	open   int
	closed map[string]int
	said   map[string]int
}

func (d *door) ConnectionsOpen(n int)         { d.open = n }
func (d *door) ConnectionClosed(limit string) { d.closed[limit]++ }
func (d *door) General(_ slog.Level, every time.Duration, subject, _ string, _ ...any) {
	d.said[fmt.Sprint(subject, " ", every)]++
}

// newDoor allows 32 connections, two per client.
func newDoor(trusted ...netip.Prefix) *door {
	d := &door{closed: map[string]int{}, said: map[string]int{}}
	d.Listener = Limit(&arrived{}, Config{Max: 32, Trusted: trusted, Notices: d, Metrics: d})
	return d
}

// knock connects from an address. The connection is nil if it was not accepted.
func (d *door) knock(t *testing.T, addr string) (net.Conn, *from) {
	t.Helper()
	f := &from{addr: addr}
	d.Listener.Listener = &arrived{[]net.Conn{f}}
	c, err := d.Accept()
	if err != nil {
		require.ErrorIs(t, err, net.ErrClosed)
		assert.True(t, f.closed, "what is not taken is closed")
		return nil, f
	}
	d.StateChanged(c, http.StateNew)
	return c, f
}

// ask connects from an address, and sends a whole request.
func (d *door) ask(t *testing.T, addr string) (c net.Conn, f *from, answered func()) {
	t.Helper()
	answered = func() {}
	if c, f = d.knock(t, addr); c != nil {
		d.StateChanged(c, http.StateActive)
		answered = Busy(Context(t.Context(), c))
	}
	return c, f, answered
}

func TestOneClientHoldsItsShare(t *testing.T) {
	d := newDoor()
	idle, there, answered := d.ask(t, "203.0.113.1")
	answered()
	d.StateChanged(idle, http.StateIdle)
	_, busy, _ := d.ask(t, "203.0.113.1")
	_, third, _ := d.ask(t, "203.0.113.1")
	assert.True(t, there.closed, "the one that waits makes room")
	assert.False(t, busy.closed)
	assert.False(t, third.closed)
	refused, _ := d.knock(t, "203.0.113.1")
	assert.Nil(t, refused, "none of its others waits")
	other, _ := d.knock(t, "203.0.113.2")
	assert.NotNil(t, other, "another client is not limited with it")
	assert.Equal(t, map[string]int{"client": 2}, d.closed)
	assert.Equal(t, map[string]int{"client 1m0s": 2}, d.said)
	assert.Equal(t, 3, d.open)

	require.NoError(t, idle.Close())
	assert.Equal(t, 3, d.open, "it was counted out already")
	d.StateChanged(idle, http.StateIdle) // the server may say so late
	require.NoError(t, other.Close())
	assert.Equal(t, 2, d.open)
	assert.Equal(t, 0, d.waiting.Len())
}

func TestClosedConnectionsMakeRoom(t *testing.T) {
	d := newDoor()
	for range 100 {
		c, _, _ := d.ask(t, "2001:db8::1")
		require.NotNil(t, c)
		require.NoError(t, c.Close())
	}
	assert.Zero(t, d.open)
	assert.Empty(t, d.clients)
	assert.Empty(t, d.closed)
}

func TestOneSiteOfManyNetworksHoldsItsShare(t *testing.T) {
	d := newDoor()
	taken := func(addr string) (n int) {
		for range 3 {
			if c, _, _ := d.ask(t, addr); c != nil {
				n++
			}
		}
		return n
	}
	assert.Equal(t, []int{2, 2, 0, 2, 2, 0, 2}, []int{
		taken("2001:db8:1:100::1"), taken("2001:db8:1:101::1"), taken("2001:db8:1:102::1"), // a /56 holds four
		taken("2001:db8:1:200::1"), taken("2001:db8:1:300::1"), taken("2001:db8:1:400::1"), // a /48 holds eight
		taken("2001:db8:2::1"),
	})
}

func TestTrustedProxiesMayUseAllAndTheLongestIdleIsClosedFirst(t *testing.T) {
	d := newDoor(netip.MustParsePrefix("10.0.0.0/8"))
	var list []*from
	for range 32 {
		c, f, answered := d.ask(t, "::ffff:10.0.0.1")
		require.NotNil(t, c)
		answered()
		list = append(list, f)
	}
	assert.Empty(t, d.closed)
	for range 2 {
		c, _, _ := d.ask(t, "203.0.113.1")
		require.NotNil(t, c)
	}
	assert.True(t, list[0].closed)
	assert.True(t, list[1].closed)
	assert.False(t, list[2].closed)
	assert.Equal(t, 32, d.open)
	assert.Equal(t, map[string]int{"all": 2}, d.closed)
	assert.Equal(t, map[string]int{"all 1m0s": 2}, d.said)
	for i := range 30 {
		c, _, _ := d.ask(t, fmt.Sprintf("198.51.100.%d", i))
		require.NotNil(t, c)
	}
	c, _ := d.knock(t, "198.51.100.99")
	assert.Nil(t, c, "a request is under way on each")
}

// A request that is arriving keeps nobody away: its connection is closed like an idle
// one, until all of its requests have arrived.
func TestARequestThatIsArrivingMakesRoom(t *testing.T) {
	d := newDoor()
	slow, first := d.knock(t, "203.0.113.1")
	d.StateChanged(slow, http.StateActive)
	_, second, answered := d.ask(t, "203.0.113.1")
	c, _, _ := d.ask(t, "203.0.113.1")
	assert.NotNil(t, c)
	assert.True(t, first.closed)
	c, _ = d.knock(t, "203.0.113.1")
	assert.Nil(t, c, "the others are at work")
	answered()
	c, _ = d.knock(t, "203.0.113.1")
	assert.NotNil(t, c)
	assert.True(t, second.closed)
	Busy(Context(t.Context(), slow))() // it may have arrived as it was closed
	assert.Equal(t, 2, d.open)
	assert.Equal(t, 1, d.waiting.Len())
	Busy(t.Context())() // not a connection of ours
}

// Requests on one connection, as by HTTP/2.
func TestAConnectionIsKeptForItsLastRequest(t *testing.T) {
	d := newDoor()
	c, f, first := d.ask(t, "203.0.113.1")
	second := Busy(Context(t.Context(), tls.Server(c, &tls.Config{})))
	first()
	d.ask(t, "203.0.113.1")
	refused, _ := d.knock(t, "203.0.113.1")
	assert.Nil(t, refused)
	second()
	d.knock(t, "203.0.113.1")
	assert.True(t, f.closed)
}

// While too much memory is in use, the connections that have waited longest are
// closed. A few may always wait, and none with a request in flight is closed.
func TestMemoryIsTakenBack(t *testing.T) {
	d := newDoor(netip.MustParsePrefix("10.0.0.0/8"))
	d.config.Max = 10 * keptWaiting
	var waiting []*from
	_, busy, _ := d.ask(t, "10.0.0.1")
	for range 2 * keptWaiting {
		_, f := d.knock(t, "10.0.0.1")
		waiting = append(waiting, f)
	}
	closed := func() (n int) {
		for n < len(waiting) && waiting[n].closed {
			n++
		}
		return n
	}
	ctx, cancel := context.WithCancel(t.Context())
	var after []int
	looks := []uint64{100, 80, 125, 1 << 40, 1 << 40} // of which 100 are not too much
	d.Watch(ctx, 0, func() (uint64, uint64) {
		after = append(after, closed())
		if len(after) > len(looks) {
			cancel()
			return 0, 100
		}
		return looks[len(after)-1], 100
	})
	assert.Equal(t, []int{0, 0, 0, keptWaiting * 2 / 5, keptWaiting, keptWaiting}, after[:6])
	assert.Equal(t, keptWaiting, closed())
	assert.False(t, busy.closed)
	assert.Equal(t, keptWaiting+1, d.open)
	assert.Equal(t, map[string]int{"memory": keptWaiting}, d.closed)
}

// While too much memory is in use, connections are accepted more slowly.
func TestConnectionsArePausedWhileMemoryIsShort(t *testing.T) {
	d := newDoor()
	paused := 0
	d.sleep = func(time.Duration) { paused++ }
	ctx, cancel := context.WithCancel(t.Context())
	var after []int
	looks := []uint64{100, 101, 100, 0}
	d.Watch(ctx, 0, func() (uint64, uint64) {
		d.knock(t, fmt.Sprintf("192.0.2.%d", len(after)+1))
		after = append(after, paused)
		if len(after) > len(looks) { // Watch may look once more after the end
			cancel()
			return 0, 100
		}
		return looks[len(after)-1], 100
	})
	assert.Equal(t, []int{0, 0, 1, 1, 1}, after[:5])
}
