package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/network"
)

// clientAddr returns the address that a request comes from. X-Forwarded-For is
// trusted only as far as trusted proxies wrote it: read from the right, the
// first address that is not a trusted proxy's is the client. Anyone could have
// sent what is to the left of it.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := network.Addr(r.RemoteAddr)
	if !network.Contain(trusted, peer) {
		return peer
	}
	client := peer
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(forwarded) {
		addr := network.Addr(strings.TrimSpace(text))
		if !addr.IsValid() {
			break // what is left of it can't be trusted either
		}
		client = addr
		if !network.Contain(trusted, addr) {
			break
		}
	}
	return client
}
