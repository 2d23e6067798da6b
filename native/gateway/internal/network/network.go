// Package network reads a client's address, and says under which networks it is
// rate-limited. An IPv6 customer has a whole /64 to choose addresses from, and
// often a /56 or a /48.
package network

import (
	"net/netip"
	"slices"
	"strings"
)

// Addr reads an address with or without a port, or returns the zero Addr.
func Addr(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// Contain reports whether an address is in one of some networks.
func Contain(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Network is a network under which an address is counted.
type Network struct {
	netip.Prefix
	Share int // how many times a single client's limit it may use
}

// Of returns the networks of an address, the narrowest first: the address
// itself for IPv4; the /64, the /56 and the /48 for IPv6. All invalid addresses
// count as one network.
func Of(addr netip.Addr) []Network {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return []Network{{Share: 1}}
	case addr.Is4():
		return []Network{{netip.PrefixFrom(addr, 32), 1}}
	}
	list := make([]Network, 0, 3)
	for i, bits := range [...]int{64, 56, 48} {
		prefix, _ := addr.Prefix(bits)
		list = append(list, Network{prefix, 1 << i})
	}
	return list
}
