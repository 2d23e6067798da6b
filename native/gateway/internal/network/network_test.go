package network

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNetworksOfAnAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.9":                "[203.0.113.9/32×1]",
		"::ffff:203.0.113.9":         "[203.0.113.9/32×1]",
		"2001:db8:1:2ff:2:3:4:5%eth": "[2001:db8:1:2ff::/64×1 2001:db8:1:200::/56×2 2001:db8:1::/48×4]",
	} {
		var got []string
		for _, n := range Of(netip.MustParseAddr(addr)) {
			got = append(got, fmt.Sprintf("%s×%d", n.Prefix, n.Share))
		}
		assert.Equal(t, want, fmt.Sprint(got))
	}
	assert.Len(t, Of(netip.Addr{}), 1)
}

func TestReadAnAddress(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9":             "203.0.113.9",
		"203.0.113.9:80":          "203.0.113.9",
		"[::ffff:203.0.113.9]:80": "203.0.113.9",
		"[2001:db8::1]":           "2001:db8::1",
		"[2001:db8::1%eth0]:80":   "2001:db8::1",
		"@":                       "invalid IP",
		"":                        "invalid IP",
	} {
		assert.Equal(t, want, Addr(text).String(), text)
	}
}

func TestNetworksThatContainAnAddress(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	assert.True(t, Contain(networks, netip.MustParseAddr("10.1.2.3")))
	assert.True(t, Contain(networks, netip.MustParseAddr("fd00::1")))
	assert.False(t, Contain(networks, netip.MustParseAddr("11.0.0.1")))
	assert.False(t, Contain(networks, netip.Addr{}))
	assert.False(t, Contain(nil, netip.MustParseAddr("10.1.2.3")))
}
