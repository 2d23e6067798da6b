package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// isReset tells a connection ended by RST.
func isReset(err error) bool {
	const windowsReset = syscall.Errno(10054) // WSAECONNRESET
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, windowsReset)
}

// An expectation checks what a client saw of a fault in an operation.
type expectation func(t *testing.T, op operation, o observation)

func expectStatus(status int) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, status, o.status)
		assert.NoError(t, o.err)
		assert.NoError(t, o.bodyErr)
		if len(o.body) > 0 {
			assert.Contains(t, o.json(t), "error")
		}
	}
}

func expectMessage(status int, says string) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, status, o.status)
		assert.Contains(t, o.message(t), says)
	}
}

func expectPage(status int) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, status, o.status)
		assert.Equal(t, "text/html; charset=utf-8", o.header.Get("Content-Type"))
		assert.True(t, bytes.HasPrefix(o.body, []byte("<!doctype html>")))
	}
}

func expectBody(want string) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		assert.Equal(t, want, string(o.body))
		assert.NoError(t, o.bodyErr)
	}
}

// expectMember takes a success whose named member is want.
func expectMember(name string, want any) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		got, present := o.json(t)[name]
		assert.True(t, present)
		assert.Equal(t, want, got)
	}
}

func expectWithout(name string) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		assert.NotContains(t, o.json(t), name)
		assert.Contains(t, o.json(t), "id")
	}
}

func expectGood(t *testing.T, op operation, o observation) {
	assert.Equal(t, op.success(), o.status)
	assert.Equal(t, "active", o.json(t)["status"])
	assert.NoError(t, o.bodyErr)
	if op == opValidate {
		assert.Equal(t, true, o.json(t)["valid"])
	}
}

func expectReset(t *testing.T, _ operation, o observation) {
	assert.True(t, isReset(o.err), "%v", o.err)
	assert.Empty(t, o.raw)
}

func expectRedirect(status int) expectation {
	return func(t *testing.T, op operation, o observation) {
		assert.Equal(t, status, o.status)
		assert.Equal(t, "/api/redirected/"+string(op)+"/mem_f", o.header.Get("Location"))
	}
}

// expected has one row for each fault. The membership is unbound, and what is
// called would bind it.
var expected = map[string]expectation{
	"close": func(t *testing.T, _ operation, o observation) {
		assert.NoError(t, o.err)
		assert.Empty(t, o.raw)
	},
	"reset": expectReset,
	"truncated": func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		assert.ErrorIs(t, o.bodyErr, io.ErrUnexpectedEOF)
		assert.NotEmpty(t, o.body)
	},
	"slow":      expectGood,
	"slow-body": expectGood,
	"200":       func(t *testing.T, _ operation, o observation) { expectGood(t, opGet, o) },
	"202": func(t *testing.T, _ operation, o observation) {
		assert.Equal(t, 202, o.status)
		assert.Equal(t, "active", o.json(t)["status"])
	},
	"204":            expectStatus(204),
	"304":            expectStatus(304),
	"400":            expectStatus(400),
	"401":            expectStatus(401),
	"403":            expectStatus(403),
	"400-id":         expectMessage(400, "malformed"),
	"403-ip":         expectMessage(403, "not allowed from this IP"),
	"403-membership": expectMessage(403, "no access to this membership"),
	"404":            expectMessage(404, "No such Membership"),
	"404-route":      expectMessage(404, "No such route"),
	"408":            expectStatus(408),
	"422":            expectStatus(422),
	"418":            expectStatus(418),
	"500":            expectStatus(500),
	"502":            expectPage(502),
	"504":            expectPage(504),
	"random-500":     expectStatus(500),
	"429": func(t *testing.T, op operation, o observation) {
		assert.Equal(t, 429, o.status)
		assert.Equal(t, "7", o.header.Get("Retry-After"))
		if op == opValidate {
			assert.Equal(t, "You are being rate limited", o.json(t)["message"])
		} else {
			assert.Equal(t, "Try again in 12 seconds.", o.message(t))
		}
	},
	"503": func(t *testing.T, op operation, o observation) {
		expectStatus(503)(t, op, o)
		assert.Equal(t, "7", o.header.Get("Retry-After"))
	},
	"garbage":   expectBody("\x00\x9f\x92\x96 not JSON"),
	"empty":     expectBody(""),
	"null":      expectBody("null"),
	"html":      expectPage(200),
	"html-403":  expectPage(403),
	"html-404":  expectPage(404),
	"html-500":  expectPage(500),
	"html-503":  expectPage(503),
	"empty-404": expectStatus(404),
	"array": func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		o.body = o.body[1 : len(o.body)-1]
		expectGood(t, op, o)
	},
	"huge": func(t *testing.T, op operation, o observation) {
		expectGood(t, op, o)
		assert.Greater(t, len(o.body), hugeBytes)
	},
	"duplicate-names": func(t *testing.T, op operation, o observation) {
		expectGood(t, op, o) // the last one counts for Go's decoder
		for _, name := range []string{"valid", "status", "metadata"} {
			if op == opValidate || name != "valid" {
				assert.Equal(t, 2, bytes.Count(o.body, []byte(`"`+name+`":`)), name)
			}
		}
	},
	"trailing-data": func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		half := len(o.body) / 2
		assert.Equal(t, o.body[:half], o.body[half:])
		o.body = o.body[:half]
		expectGood(t, op, o)
	},
	"invalid-utf8": func(t *testing.T, op operation, o observation) {
		expectGood(t, op, o) // Go's decoder lets it through
		assert.False(t, utf8.Valid(o.body))
	},
	"wrong-types": func(t *testing.T, op operation, o observation) {
		assert.Equal(t, op.success(), o.status)
		assert.Equal(t, 7.0, o.json(t)["id"])
		assert.Equal(t, map[string]any{}, o.json(t)["status"])
		assert.Equal(t, "HWID", o.json(t)["metadata"])
		if op == opValidate {
			assert.Equal(t, true, o.json(t)["valid"])
		}
	},
	"valid-missing":       expectWithout("valid"),
	"valid-false":         expectMember("valid", false),
	"valid-null":          expectMember("valid", nil),
	"valid-number":        expectMember("valid", 1.0),
	"valid-string":        expectMember("valid", "true"),
	"status-missing":      expectWithout("status"),
	"status-unknown":      expectMember("status", "hibernating"),
	"key-null":            expectMember("license_key", nil),
	"key-other":           expectMember("license_key", "SOMEBODY-ELSES-KEY"),
	"redirect":            expectRedirect(302),
	"redirect-307":        expectRedirect(307),
	"lost-write":          expectReset,
	"lost-write-500":      expectStatus(500),
	"failed-write":        expectStatus(500),
	"ignored-write":       expectGood,
	"overwritten":         expectGood,
	"late-write-504":      expectStatus(504),
	"late-write-html-500": expectPage(500),
	"late-write-html-503": expectPage(503),
	"unapplied-write":     expectMember("metadata", map[string]any{}),
	"lowered-names":       expectMember("metadata", map[string]any{"hwid": "1"}),
	"text-values":         expectGood,
	"trimmed-values":      expectGood,
	"metadata-missing":    expectWithout("metadata"),
	"odd-members": func(t *testing.T, op operation, o observation) {
		expectGood(t, op, o)
		fields := o.json(t)
		assert.Equal(t, "1", fields["quantity"])
		assert.Equal(t, false, fields["expires_at"])
		assert.Equal(t, []any{}, fields["variant_id"])
		assert.NotContains(t, fields, "manage_url", "no part of this version")
		assert.Contains(t, string(o.body), `"title":"\ud800"`)
	},
	"repeated-member": func(t *testing.T, op operation, o observation) {
		expectGood(t, op, o)
		assert.Equal(t, 2, bytes.Count(o.body, []byte(`"unheard_of":`)))
	},
	"bare-ids": expectMember("account", "biz_sim"),
	"objects":  expectMember("variant", map[string]any{"id": "plan_sim", "title": "T"}),

	// These two hold the connection; they have tests of their own.
	"timeout":      nil,
	"stalled-body": nil,
	// Concerns only what was read after a write; likewise.
	"stale-read": nil,
	// Holds the connection, and writes in its own time.
	"late-write": nil,
}

// bindsAnyway are the faults after which the metadata is stored all the same.
var bindsAnyway = []string{
	"truncated", "slow", "slow-body", "200", "202", "array", "huge", "duplicate-names", "trailing-data", "invalid-utf8", "wrong-types",
	"valid-missing", "valid-false", "valid-null", "valid-number", "valid-string", "status-missing", "status-unknown",
	"metadata-missing", "odd-members", "repeated-member", "bare-ids", "objects", "text-values", "trimmed-values",
	"key-null", "key-other", "lost-write", "lost-write-500",
}

func TestEveryFault(t *testing.T) {
	require.Equal(t, faultNames(), slices.Sorted(maps.Keys(expected)), "each fault has its row")
	for name, check := range expected {
		if check == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			delay := "40ms"
			if faults[name].later {
				delay = "1m" // longer than it takes to see that nothing is stored yet
			}
			list := fmt.Sprintf(`[{"license_key":"F","id":"mem_f","fault":%q,"fault_probability":1,"fault_delay":%q,"fault_retry_after":"7"}]`, name, delay)
			sim := start(t, list)
			for op, call := range map[operation]func() observation{
				opValidate: func() observation { return sim.validate("F", `{"metadata":{"HWID":"1"}}`) },
				opGet:      func() observation { return sim.get("F") },
				opPatch:    func() observation { return sim.patch("mem_f", `{"metadata":{"HWID":"1"}}`) },
			} {
				sim.sim(200, "POST", "/sim/reset/F", "")
				began := time.Now()
				o := call()
				took := time.Since(began)
				entry := sim.last()
				if !faults[name].concerns(op, nil) {
					expectGood(t, op, o)
					assert.Empty(t, entry.Fault, op)
					continue
				}
				if op == opGet && faults[name].when != nil {
					continue
				}
				check(t, op, o)
				assert.Equal(t, name, entry.Fault, op)
				if strings.HasPrefix(name, "slow") {
					assert.GreaterOrEqual(t, took, 40*time.Millisecond, op)
				}
				stored := sim.stored("F")["metadata"]
				switch {
				case op == opGet:
				case name == "lowered-names":
					assert.Equal(t, map[string]any{"hwid": "1"}, stored)
				case name == "overwritten":
					assert.Equal(t, map[string]any{"HWID": "another-machine"}, stored)
				case slices.Contains(bindsAnyway, name):
					assert.Equal(t, map[string]any{"HWID": "1"}, stored, op)
				default:
					assert.Empty(t, stored, op)
				}
			}
		})
	}
}

func TestEveryFaultIsDescribed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, name := range faultNames() {
		assert.Contains(t, string(readme), "`"+name+"`")
	}
}

// held waits until the fault has fired, and checks that the client is kept
// waiting until it leaves.
func held(t *testing.T, sim *target, name string, conn net.Conn, wantBytes bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		list := sim.journal()
		return len(list) > 0 && list[len(list)-1].Fault == name
	}, waitFor, tick)
	if wantBytes {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(waitFor)))
		_, err := conn.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	got, err := io.ReadAll(conn)
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
	if !wantBytes {
		assert.Empty(t, got)
	}
	assert.Equal(t, "pending", sim.journal()[0].Outcome)
	assert.EqualValues(t, 1, sim.stats(opValidate).InFlight)
}

func TestHoldingFaultsEndWhenTheClientLeaves(t *testing.T) {
	for name, wantBytes := range map[string]bool{"timeout": false, "stalled-body": true} {
		t.Run(name, func(t *testing.T) {
			sim := start(t, fmt.Sprintf(`[{"license_key":"F","fault":%q}]`, name))
			conn := sim.open("POST", validatePath("F"), `{"metadata":{}}`, credentials...)
			held(t, sim, name, conn, wantBytes)
			require.NoError(t, conn.Close())
			assert.Equal(t, "cut", sim.last().Outcome)
			assert.Zero(t, sim.stats(opValidate).InFlight)
			assert.EqualValues(t, 1, sim.stats(opValidate).Cut)
		})
	}
}

func TestStoppingReleasesWhatIsHeld(t *testing.T) {
	sim := start(t, `[{"license_key":"F","fault":"timeout"}]`)
	conn := sim.open("POST", validatePath("F"), `{"metadata":{}}`, credentials...)
	held(t, sim, "timeout", conn, false)
	sim.stop()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err := io.ReadAll(conn)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestAnOrdinaryClientFollowsTheRedirectAndIsFooled(t *testing.T) {
	for name, method := range map[string]string{"redirect": "GET", "redirect-307": "POST"} {
		t.Run(name, func(t *testing.T) {
			sim := start(t, fmt.Sprintf(`[{"license_key":"F","status":"expired","fault":%q}]`, name))
			req, err := http.NewRequest("POST", sim.url+validatePath("F"), strings.NewReader(`{"metadata":{}}`))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+testKey)
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Contains(t, string(body), `"valid":true`)
			e := sim.last()
			assert.Equal(t, opRedirected, e.Operation)
			assert.Equal(t, method, e.Method)
			v1 := sim.bare("GET", "/api/redirected/v1.get/F", "").json(t)
			assert.Equal(t, "active", v1["status"])
			assert.NotContains(t, v1, "valid")
		})
	}
}

func TestFaultsByTimesOperationAndChance(t *testing.T) {
	sim := start(t, `[
		{"license_key":"twice","fault":"500","fault_times":2},
		{"license_key":"get","fault":"500","fault_on":["v1.get"]},
		{"license_key":"never","fault":"500","fault_probability":0},
		{"license_key":"chance","fault":"random-500"}]`, "--rate-limit", "0", "--seed", "7")
	var got []int
	for range 4 {
		got = append(got, sim.validate("twice", `{"metadata":{}}`).status)
	}
	assert.Equal(t, []int{500, 500, 201, 201}, got)
	assert.Equal(t, 201, sim.validate("get", `{"metadata":{}}`).status)
	assert.Equal(t, 500, sim.get("get").status)
	assert.Equal(t, 200, sim.get("never").status)

	draw := func(sim *target) (list []int) {
		for range 40 {
			list = append(list, sim.validate("chance", `{"metadata":{}}`).status)
		}
		return list
	}
	first := draw(sim)
	assert.Contains(t, first, 500)
	assert.Contains(t, first, 201)
	other := start(t, `[{"license_key":"chance","fault":"random-500"}]`, "--rate-limit", "0", "--seed", "7")
	assert.Equal(t, first, draw(other), "the same seed, the same fate")

	sim.sim(200, "POST", "/sim/memberships/twice", `{"fault":"503","fault_times":1}`)
	assert.Equal(t, 503, sim.get("twice").status, "setting a fault starts its count anew")
	assert.Equal(t, 200, sim.get("twice").status)
	sim.sim(200, "POST", "/sim/memberships/chance", `{"fault":"503"}`)
	assert.EqualValues(t, 1, sim.stored("chance")["fault_probability"])
	sim.sim(200, "POST", "/sim/memberships/chance", `{"fault":null}`)
	assert.NotContains(t, sim.stored("chance"), "fault")
	assert.Equal(t, 200, sim.get("chance").status)
}
