package api

import (
	"net/netip"
	"sync"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

const (
	// maxInFlight is how many validations and webhooks may be read, or wait for an
	// answer, at once.
	maxInFlight = 1 << 13
	// inFlightShare is which part of them one client may have. By HTTP/2, it could
	// have all on a few connections.
	inFlightShare = 16
)

// inFlight counts the requests that were begun and are not answered.
type inFlight struct {
	bodies *bodies // of which those still arriving are given up if there is no room

	mu      sync.Mutex
	all     int
	clients map[netip.Prefix]int
}

func newInFlight(b *bodies) *inFlight {
	return &inFlight{bodies: b, clients: map[netip.Prefix]int{}}
}

// begin counts one more of a client, or reports that there is no room for it.
func (f *inFlight) begin(client netip.Addr) (end func(), ok bool) {
	networks := network.Of(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range networks {
		if f.clients[n.Prefix] >= n.Share*maxInFlight/inFlightShare {
			return nil, false
		}
	}
	if f.all >= maxInFlight && !f.bodies.giveUp() {
		return nil, false
	}
	f.all++
	for _, n := range networks {
		f.clients[n.Prefix]++
	}
	return func() { f.end(networks) }, true
}

func (f *inFlight) end(networks []network.Network) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all--
	for _, n := range networks {
		if f.clients[n.Prefix]--; f.clients[n.Prefix] == 0 {
			delete(f.clients, n.Prefix)
		}
	}
}
