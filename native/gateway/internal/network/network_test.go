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
