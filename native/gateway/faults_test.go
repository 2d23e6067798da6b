package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// patience is the setting of how long a gateway waits for a Whop with a fault: a
// moment where the fault keeps it waiting, and else longer than a busy machine takes.
func patience(fault string) []string {
	if fault == "timeout" || fault == "stalled-body" {
		return []string{"--upstream-timeout", "500ms"}
	}
	return []string{"--upstream-timeout", "10s"}
}

// Every way in which Whop fails to answer a look-up, and what the app sees then.
func TestFaultsOfALookUpAreNoVerdict(t *testing.T) {
	faults := map[string]int{
		"timeout": 503, "reset": 503, "close": 503, "truncated": 503, "stalled-body": 503,
		"202": 503, "204": 503, "304": 503, "redirect": 503, "redirect-307": 503,
		"408": 503, "429": 503, "500": 503, "502": 503, "503": 503, "504": 503,
		"400": 502, "401": 502, "403": 502, "418": 502,
		"garbage": 503, "html": 503, "html-404": 503, "empty": 503, "empty-404": 503, "null": 503, "array": 503,
		"huge": 503, "duplicate-names": 503, "trailing-data": 503, "wrong-types": 503,
		"status-missing": 503, "status-unknown": 503, "key-other": 503,
	}
	for fault, status := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			bound, free := testKey("bound"), testKey("free")
			sim := startSim(t, []fields{
				licensed(bound, fields{"metadata": fields{"HWID": machine(1)}, "fault": fault}),
				licensed(free, fields{"fault": fault}),
			})
			g := startGateway(t, sim, patience(fault)...)
			for _, ask := range []struct {
				key  string
				hwid string
			}{{bound, machine(1)}, {bound, machine(2)}, {free, machine(1)}} {
				a := g.validate(ask.key, ask.hwid)
				assert.Equal(t, status, a.status, a.body)
				if status == 503 {
					assertRefused(t, a, 503, "unavailable")
				} else {
					assertRefused(t, a, 502, "upstream_refused")
				}
			}
			assert.Zero(t, sim.calls("v1.patch"))
			assert.Zero(t, sim.calls("redirected"))
			// Nothing was kept from the errors.
			sim.set(bound, fields{"fault": nil})
			sim.set(free, fields{"fault": nil})
			if fault == "429" {
				return // Whop is left alone for a while
			}
			assert.Equal(t, 201, g.validate(bound, machine(1)).status)
			assert.Equal(t, 400, g.validate(bound, machine(2)).status)
			assert.Equal(t, 201, g.validate(free, machine(1)).status)
		})
	}
}

func TestHarmlessFaults(t *testing.T) {
	for _, fault := range []string{"200", "slow", "slow-body", "key-null", "invalid-utf8"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			key := testKey("fine")
			sim := startSim(t, []fields{licensed(key, fields{"fault": fault, "fault_delay": "300ms"})})
			g := startGateway(t, sim)
			assert.Equal(t, 201, g.validate(key, machine(1)).status)
			assert.Equal(t, 400, g.validate(key, machine(2)).status)
		})
	}
}

// A cached valid license stays valid during an outage as long as it is cached;
// an outage doesn't change a refusal.
func TestOutage(t *testing.T) {
	for _, kind := range []string{"timeout", "reset", "500", "401", "429", "html-404", "empty-404"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			key := testKey("outage")
			sim := startSim(t, []fields{licensed(key)})
			g := startGateway(t, sim, patience(kind)...)
			require.Equal(t, 201, g.validate(key, machine(1)).status)
			sim.outage(kind)
			assert.Equal(t, 201, g.validate(key, machine(1)).status, "from the cache")
			assert.Contains(t, []int{502, 503}, g.validate(key, machine(2)).status)
			assert.Contains(t, []int{502, 503}, g.validate(testKey("nobody"), machine(1)).status)
			assert.Equal(t, 200, g.get("/readyz").status, "another gateway would fare no better")
		})
	}
}

// Every way in which a write can fail, and what is left stored.
func TestFaultsOfAWrite(t *testing.T) {
	cases := []struct {
		fault  string
		times  int
		status int
		stored any
	}{
		{"lost-write", 0, 201, machine(1)},
		{"lost-write-500", 0, 201, machine(1)},
		{"504", 0, 503, nil},
		{"truncated", 0, 201, machine(1)},
		{"garbage", 1, 201, machine(1)},
		{"reset", 1, 201, machine(1)},
		{"failed-write", 1, 201, machine(1)},
		{"ignored-write", 1, 201, machine(1)},
		{"failed-write", 0, 503, nil},
		{"ignored-write", 0, 503, nil},
		{"reset", 0, 503, nil},
		{"timeout", 0, 503, nil},
		{"429", 0, 503, nil},
		{"403", 0, 502, nil},
		{"401", 0, 502, nil},
		{"400", 0, 502, nil},
		{"overwritten", 0, 400, "another-machine"},
	}
	for _, c := range cases {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			key := testKey("write")
			sim := startSim(t, []fields{licensed(key, fields{"fault": c.fault, "fault_on": []string{"v1.patch"}, "fault_times": c.times})})
			g := startGateway(t, sim, patience(c.fault)...)
			assert.Equal(t, c.status, g.validate(key, machine(1)).status)
			assert.Equal(t, c.stored, sim.membership(key).Metadata["HWID"])
			if c.fault == "403" {
				assert.True(t, g.logged("member:manage", `"level":"ERROR"`))
			}
		})
	}
}

// A write whose answer was lost is repeated as the same one, and only then.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	for fault, same := range map[string]bool{"failed-write": true, "ignored-write": false} {
		t.Run(fault, func(t *testing.T) {
			key := testKey("idempotent")
			sim := startSim(t, []fields{licensed(key, fields{"fault": fault, "fault_on": []string{"v1.patch"}, "fault_times": 1})})
			require.Equal(t, 201, startGateway(t, sim).validate(key, machine(1)).status)
			var requests []struct {
				Operation string `json:"operation"`
				Key       string `json:"idempotency_key"`
			}
			require.NoError(t, json.Unmarshal(sim.control("GET", "/sim/requests", nil), &requests))
			var keys []string
			for _, r := range requests {
				if r.Operation == "v1.patch" {
					keys = append(keys, r.Key)
				}
			}
			require.Len(t, keys, 2)
			assert.NotEmpty(t, keys[0])
			assert.NotEmpty(t, keys[1])
			assert.Equal(t, same, keys[0] == keys[1])
		})
	}
}

func TestMissingPermissionsAreTheSellersFault(t *testing.T) {
	key := testKey("perm")
	sim := startSim(t, []fields{licensed(key)}, "--permissions", "none")
	g := startGateway(t, sim)
	assertRefused(t, g.validate(key, machine(1)), 502, "upstream_refused")
	assert.True(t, g.logged("member:basic:read", "member:email:read", `"level":"ERROR"`))

	wrong := startSim(t, []fields{licensed(key)}, "--api-key", "another")
	g = startGateway(t, wrong)
	assertRefused(t, g.validate(key, machine(1)), 502, "upstream_refused")
	assert.True(t, g.logged("WHOP_API_KEY", `"level":"ERROR"`))
}

func TestWhopsRateLimitIsHonored(t *testing.T) {
	first, second, third := testKey("first"), testKey("second"), testKey("third")
	limited := fields{"fault": "429", "fault_retry_after": "90"}
	sim := startSim(t, []fields{licensed(first, limited), licensed(second, limited), licensed(third)})
	g := startGateway(t, sim)
	a := g.validate(first, machine(1))
	assertRefused(t, a, 503, "unavailable")
	assert.Equal(t, "90", a.header.Get("Retry-After"))
	assert.Equal(t, 1, sim.calls("v1.get"), "not asked twice")
	assert.Equal(t, 503, g.validate(first, machine(1)).status)
	assert.Equal(t, 1, sim.calls("v1.get"), "left alone")
	assert.Equal(t, 201, g.validate(third, machine(1)).status, "one license's 429 holds back that license")
	sim.set(third, fields{"metadata": fields{}})
	assert.Equal(t, 503, g.validate(second, machine(1)).status)
	before := sim.calls("v1.get")
	assertRefused(t, g.validate(testKey("fourth"), machine(1)), 503, "unavailable")
	assert.Equal(t, before, sim.calls("v1.get"), "two licenses' 429 hold back all")
}

// While Whop is down, each check ends without a verdict, and the log stays short.
func TestOutagesDontFillTheLog(t *testing.T) {
	const checks = 20
	for level, lines := range map[string]int{"info": 1, "debug": checks} {
		sim, addr := startSim(t, nil), gatewaytest.FreeAddress(t)
		g := startGateway(t, sim, "--log-level", level, "--metrics-listen", addr)
		sim.outage("500")
		for n := range checks {
			assertRefused(t, g.validate(testKey(fmt.Sprint("down", n)), machine(1)), 503, "unavailable")
		}
		assert.Equal(t, lines, g.count(`"msg":"no verdict","code":"unavailable","key":"`, `"error":"whop: `), level)
		assert.Equal(t, fmt.Sprint(checks), metric(t, addr, `whop_license_validations_total{outcome="unavailable"}`))
	}
}

// Something that is not an HTTP server, whose answers contain what must not be
// logged.
func TestAnswersThatAreNotHTTP(t *testing.T) {
	for _, head := range []string{"X: " + personalMark + "\x01", personalMark + "\x01: x", personalMark} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+head+"\r\n\r\n")
				_ = conn.Close()
			}
		}()
		g := startGateway(t, &simulator{t: t, url: "http://" + listener.Addr().String()})
		assertRefused(t, g.validate(testKey("x"), machine(1)), 503, "unavailable")
		assert.True(t, g.logged("no verdict"))
		assert.NotContains(t, g.logs.String(), personalMark)
	}
}
