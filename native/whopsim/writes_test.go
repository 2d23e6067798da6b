package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStaleRead(t *testing.T) {
	sim := start(t, `[{"license_key":"F","id":"mem_f","fault":"stale-read","fault_times":1}]`)
	assert.Empty(t, sim.get("F").json(t)["metadata"])
	assert.Empty(t, sim.last().Fault, "nothing was written yet")
	assert.Equal(t, 200, sim.patch("mem_f", `{"metadata":{"HWID":"1"}}`).status)
	assert.Empty(t, sim.get("F").json(t)["metadata"], "as before the write")
	assert.Equal(t, "stale-read", sim.last().Fault)
	assert.Equal(t, map[string]any{"HWID": "1"}, sim.get("F").json(t)["metadata"], "used up")
	assert.Equal(t, 200, sim.patch("mem_f", `{"metadata":{"HWID":"2"}}`).status)
	sim.sim(200, "POST", "/sim/memberships/F", `{"fault":"stale-read","metadata":{}}`)
	assert.Empty(t, sim.get("F").json(t)["metadata"], "a reset is seen at once")
}

func TestAlteredWrites(t *testing.T) {
	for fault, want := range map[string]string{
		"text-values":    `{"HWID":" a ","n":"1.50","list":"[1]","yes":"true"}`,
		"trimmed-values": `{"HWID":"a","n":1.50,"list":[1],"yes":true}`,
		"lowered-names":  `{"hwid":" a ","n":1.50,"list":[1],"yes":true}`,
	} {
		sim := start(t, fmt.Sprintf(`[{"license_key":"F","id":"mem_f","fault":%q}]`, fault))
		for _, o := range []observation{sim.patch("mem_f", `{"metadata":{"HWID":" a ","n":1.50,"list":[1],"yes":true}}`), sim.get("F")} {
			var m struct{ Metadata json.RawMessage }
			require.NoError(t, json.Unmarshal(o.body, &m))
			assert.JSONEq(t, want, string(m.Metadata), fault)
			if fault == "text-values" {
				assert.Contains(t, string(m.Metadata), `"1.50"`)
			}
		}
	}
}

func TestBareIDsAndObjectsInEachVersion(t *testing.T) {
	id := func(id string) map[string]any { return map[string]any{"id": id, "title": "T"} }
	for fault, want := range map[string]map[string]map[string]any{
		"bare-ids": {
			"2025-01-01": {"product": "prod_1", "plan": "plan_1", "company": "biz_1", "user": "user_1"},
			"2026-11-17": {"product_id": "prod_1", "variant_id": "plan_1", "account": "biz_1", "member": "mber_1"},
		},
		"objects": {
			"2025-01-01": {"plan": map[string]any{"id": "plan_1"}},
			"2026-07-20": {"product": id("prod_1"), "plan": id("plan_1"), "user": id("user_1"), "product_id": nil, "plan_id": nil},
			"2026-11-17": {"product": id("prod_1"), "variant": id("plan_1"), "variant_id": nil},
		},
	} {
		sim := start(t, full)
		sim.sim(200, "POST", "/sim/memberships/K", fmt.Sprintf(`{"fault":%q}`, fault))
		for date, members := range want {
			got := sim.get("K", "Api-Version-Date: "+date).json(t)
			for name, value := range members {
				assert.Equal(t, value, got[name], "%s %s %s", fault, date, name)
			}
		}
	}
}

func TestLateWrite(t *testing.T) {
	leave := func(delay string) *target {
		sim := start(t, `[{"license_key":"F","id":"mem_f","fault":"late-write","fault_delay":"`+delay+`"}]`)
		conn := sim.open("PATCH", "/api/v1/memberships/mem_f", `{"metadata":{"HWID":"1"}}`, credentials...)
		require.Eventually(t, func() bool { return sim.stats(opPatch).InFlight == 1 }, waitFor, tick)
		require.NoError(t, conn.Close())
		assert.Equal(t, "late-write", sim.last().Fault)
		assert.Equal(t, "cut", sim.last().Outcome)
		return sim
	}
	assert.Empty(t, leave("60s").stored("F")["metadata"], "not yet")
	sim := leave("100ms")
	stored := func() bool { return fmt.Sprint(sim.stored("F")["metadata"]) == "map[HWID:1]" }
	require.Eventually(t, stored, waitFor, tick, "stored although the client has left")
	for _, fault := range []string{"late-write-504", "late-write-html-500", "late-write-html-503"} {
		sim = start(t, fmt.Sprintf(`[{"license_key":"F","id":"mem_f","fault":%q,"fault_delay":"100ms"}]`, fault))
		sim.patch("mem_f", `{"metadata":{"HWID":"1"}}`)
		require.Eventually(t, stored, waitFor, tick, fault)
	}
}

func TestLostWriteThenRetry(t *testing.T) {
	sim := start(t, `[{"license_key":"F","id":"mem_f","fault":"lost-write"}]`)
	expectReset(t, opPatch, sim.patch("mem_f", `{"metadata":{"HWID":"1"}}`, "Idempotency-Key: i"))
	retried := sim.patch("mem_f", `{"metadata":{"HWID":"1"}}`, "Idempotency-Key: i")
	assert.Equal(t, 200, retried.status, "a repeated write is not lost again")

	sim.sim(200, "POST", "/sim/reset/F", "")
	expectReset(t, opValidate, sim.validate("F", `{"metadata":{"HWID":"1"}}`))
	assert.Equal(t, 201, sim.validate("F", `{"metadata":{"HWID":"1"}}`).status, "now it is bound, and nothing is written")
}
