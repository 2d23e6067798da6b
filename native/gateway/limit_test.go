package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClientLimit(t *testing.T) {
	key := testKey("cheap")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--client-limit", "5", "--trusted-proxies", "127.0.0.1,::1")
	from := func(addr, key string) answer {
		return g.post(validatePath(key), `{"metadata":{"HWID":"`+machine(1)+`"}}`, "X-Forwarded-For", addr)
	}
	require.Equal(t, 201, from("203.0.113.1", key).status)
	for n := range 4 {
		require.Equal(t, 404, from("203.0.113.1", testKey(fmt.Sprint("guess", n))).status)
	}
	assertRefused(t, from("203.0.113.1", testKey("guess9")), 429, "rate_limited")
	assert.Equal(t, 201, from("203.0.113.1", key).status, "what is cached costs nothing")
	assert.Equal(t, 404, from("203.0.113.2", testKey("guess9")).status, "others are not limited with it")
	for n := range 5 {
		require.Equal(t, 404, from(fmt.Sprintf("2001:db8:0:1::%d", n), testKey(fmt.Sprint("six", n))).status)
	}
	assertRefused(t, from("2001:db8:0:1:ffff::1", testKey("six9")), 429, "rate_limited")
	assert.Equal(t, 404, from("2001:db8:0:2::1", testKey("six9")).status)
	assert.False(t, g.logged("--trusted-proxies"))
}

// Behind a proxy that it does not know the gateway takes all clients for one.
func TestProxyThatIsNotTrustedIsToldOfOnce(t *testing.T) {
	g := startGateway(t, startSim(t, nil))
	require.Equal(t, 404, g.validate(testKey("x"), machine(1)).status)
	assert.False(t, g.logged("--trusted-proxies"))
	for range 3 {
		require.Equal(t, 404, g.post(validatePath(testKey("x")), `{"metadata":{}}`, "X-Forwarded-For", "203.0.113.1").status)
	}
	assert.Equal(t, 1, strings.Count(g.logs.String(), "--trusted-proxies"))
	assert.NotContains(t, g.logs.String(), "203.0.113.1")
}

func TestLicenseLimit(t *testing.T) {
	key := testKey("busy")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}})})
	g := startGateway(t, sim, "--license-limit", "6")
	require.Equal(t, 400, g.validate(key, machine(2)).status)
	assertRefused(t, g.validate(key, machine(2)), 429, "rate_limited")
	assert.Equal(t, 1, sim.calls("v1.get"))
	assert.Equal(t, 404, g.validate(testKey("another"), machine(2)).status)
}

func TestUpstreamBudget(t *testing.T) {
	sim := startSim(t, nil)
	g := startGateway(t, sim, "--upstream-budget", "30", "--client-limit", "0")
	counts := map[int]int{}
	for n := range 40 {
		a := g.validate(testKey(fmt.Sprint("k", n)), machine(1))
		counts[a.status]++
		if a.status != 404 {
			assertRefused(t, a, 503, "unavailable")
		}
	}
	assert.GreaterOrEqual(t, counts[404], 10)
	assert.Positive(t, counts[503])
	assert.Equal(t, counts[404], sim.calls("v1.get"))
}

// In any minute there are no more calls than the quota has.
func TestBudgetNeverExceedsTheQuota(t *testing.T) {
	for quota := 10; quota < 2000; quota += 7 {
		require.LessOrEqual(t, budgetBurst(quota)+budgetRefill(quota), quota)
		require.Positive(t, budgetBurst(quota))
		require.Positive(t, budgetRefill(quota))
	}
}

func TestBudgetCountsOperationsApart(t *testing.T) {
	b := newLocalBudget(60)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing waits
	taken := 0
	for b.take(ctx, opLookUp) == nil {
		taken++
	}
	assert.Equal(t, budgetBurst(60), taken, "the next one would have to wait")
	assert.NoError(t, b.take(ctx, opWrite))
}

func TestPause(t *testing.T) {
	now := time.Now()
	p := &pause{}
	p.begin(tag{'a'}, now, 10*time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag{'a'}, now))
	assert.LessOrEqual(t, p.remaining(tag{'b'}, now), time.Duration(0))
	p.begin(tag{'a'}, now, 5*time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag{'a'}, now), "not shortened")
	assert.LessOrEqual(t, p.remaining(tag{'b'}, now), time.Duration(0))
	p.begin(tag{'b'}, now, time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag{'c'}, now), "two licenses: all wait")
	later := now.Add(11 * time.Second)
	assert.LessOrEqual(t, p.remaining(tag{'c'}, later), time.Duration(0))
	p.begin(tag{'c'}, later, time.Second)
	assert.LessOrEqual(t, p.remaining(tag{'d'}, later), time.Duration(0), "a new pause begins with one license")
}

func TestLimits(t *testing.T) {
	l := newLimits[string](60, 2)
	assert.Zero(t, l.exhausted("a"))
	l.charge("a")
	l.charge("a")
	l.charge("a")
	assert.Greater(t, l.exhausted("a"), time.Second, "in debt")
	assert.Zero(t, l.exhausted("b"))
	began := time.Now()
	wait, ok := l.pace("c", 0)
	assert.True(t, ok)
	assert.Zero(t, wait)
	_, _ = l.pace("c", 0)
	wait, ok = l.pace("c", 5*time.Second)
	assert.True(t, ok, "put off")
	assert.LessOrEqual(t, wait, time.Second)
	assert.Greater(t, wait+time.Since(began), 999*time.Millisecond)
	_, ok = l.pace("c", time.Second)
	assert.False(t, ok)
	for n := range 2 * maxLimited {
		l.charge(fmt.Sprint(n))
	}
	assert.LessOrEqual(t, l.buckets.Len(), maxLimited, "memory is bounded")
	none := newLimits[string](0, 0)
	for range 100 {
		none.charge("a")
	}
	assert.Zero(t, none.exhausted("a"))
	_, ok = none.pace("a", 0)
	assert.True(t, ok)
}

func TestClientAddr(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"an untrusted peer's word", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"a proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a proxy without the header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"a forged address before the real one", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:1", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage", "10.0.0.1:1", []string{"<script>"}, "10.0.0.1"},
		{"garbage before a proxy", "10.0.0.1:1", []string{"1.1.1.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"no peer", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
			assert.Equal(t, c.want, clientAddr(r, trusted).String())
		})
	}
	assert.Equal(t, "2001:db8:0:1::", clientOf(netip.MustParseAddr("2001:db8:0:1:2:3:4:5%eth0")).String())
	assert.Equal(t, "203.0.113.9", clientOf(netip.MustParseAddr("::ffff:203.0.113.9")).String())
}

func FuzzClientAddr(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.2")
	f.Add("[2001:db8::1%eth0]:80,,")
	f.Add(strings.Repeat(",", 100))
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forwarded string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {forwarded}}}
		require.True(t, clientAddr(r, trusted).IsValid())
		_ = clientOf(clientAddr(r, trusted))
		// An address that a trusted proxy appended can't be hidden by what is before it.
		r.Header.Set("X-Forwarded-For", forwarded+", 198.51.100.7")
		require.Equal(t, "198.51.100.7", clientAddr(r, trusted).String())
	})
}
