package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const full = `[{"license_key":"K","id":"mem_1","product":"prod_1","product_title":"P","plan":"plan_1","company":"biz_1","company_title":"C",
	"user":"user_1","username":"u","name":"N","email":"a@example.com","status":"trialing","manage_url":"https://example.com/m",
	"metadata":null,"created_at":1700000000,"renewal_period_end":1893553445},{"license_key":"bare"}]`

func TestV1Shapes(t *testing.T) {
	sim := start(t, full)
	members := func(groups ...map[string]any) map[string]any {
		all := map[string]any{"id": "mem_1", "status": "trialing", "license_key": "K", "metadata": nil, "cancel_at_period_end": false, "created_at": "2023-11-14T22:13:20.000Z"}
		for _, group := range groups {
			maps.Copy(all, group)
		}
		return all
	}
	legacy := members(map[string]any{
		"product": map[string]any{"id": "prod_1", "title": "P"}, "plan": map[string]any{"id": "plan_1"}, "company": map[string]any{"id": "biz_1", "title": "C"},
		"user":       map[string]any{"id": "user_1", "username": "u", "name": "N", "email": "a@example.com"},
		"manage_url": "https://example.com/m", "joined_at": "2023-11-14T22:13:20.000Z", "updated_at": "2023-11-14T22:13:20.000Z",
		"renewal_period_start": nil, "renewal_period_end": "2030-01-02T03:04:05.000Z",
		"payment_collection_paused": false, "checkout_configuration_id": nil,
	})
	account := map[string]any{
		"account":    map[string]any{"id": "biz_1", "title": "C", "route": "biz_1"},
		"product_id": "prod_1", "user_id": "user_1", "current_period_end": "2030-01-02T03:04:05.000Z",
		"phone_number": "+1 555 0100", "member": map[string]any{"id": "mber_1"},
	}
	plans := members(account, map[string]any{"plan_id": "plan_1"})
	variants := members(account, map[string]any{
		"variant_id": "plan_1", "affiliate": nil, "billing_period_days": 30.0, "canceled_at": nil,
		"cancel_option": nil,
	})
	want := map[string]map[string]any{"2025-01-01": legacy, "2026-11-17": variants}
	for _, date := range []string{"2026-06-08", "2026-06-09", "2026-07-01", "2026-07-20", "2026-07-23", "2026-08-05-1", "2026-08-14", "2026-09-15", "2026-09-25", "2026-09-29", "2026-10-06", "2026-10-07-2", "2026-10-08"} {
		want[date] = plans
	}
	assert.Len(t, versions, len(want))
	for date, shape := range want {
		for _, key := range []string{"K", "mem_1"} {
			assert.Equal(t, shape, sim.get(key, "Api-Version-Date: "+date).json(t), date)
		}
		assert.Equal(t, shape, sim.patch("mem_1", `{}`, "Api-Version-Date: "+date).json(t), date)
	}
	bare := sim.get("bare", "Api-Version-Date: 2025-01-01").json(t)
	assert.Nil(t, bare["renewal_period_end"])
	assert.Equal(t, map[string]any{}, bare["metadata"])
	assert.NotContains(t, bare, "valid")
}

func TestV1VersionOfTheAPIKey(t *testing.T) {
	sim := start(t, full)
	assert.Contains(t, sim.get("K").json(t), "variant_id", "a new key has the latest")
	assert.Equal(t, map[string]any{"version": "2025-01-01"}, sim.sim(200, "POST", "/sim/api-key", `{"version":"2025-01-01"}`).json(t))
	assert.Contains(t, sim.get("K").json(t), "renewal_period_end")
	assert.Contains(t, sim.patch("mem_1", `{}`).json(t), "renewal_period_end")
	assert.Contains(t, sim.get("K", "Api-Version-Date: 2026-07-20").json(t), "plan_id", "the header counts before it")
	sim.sim(400, "POST", "/sim/api-key", `{"version":"2026-03-01"}`)
	assert.Contains(t, start(t, full, "--api-key-version", "2026-08-05-1").get("K").json(t), "plan_id")
}

func TestV1VersionDates(t *testing.T) {
	sim := start(t, full)
	for _, date := range []string{"", "2024-06-01", "2026-03-01", "2027-01-01", "2026-08-05", "2026-08-05-2", "20260101", "latest", "2026-07-20T00:00:00Z", "2026-07-20, 2026-07-20"} {
		o := sim.get("K", "Api-Version-Date: "+date)
		assert.Equal(t, 400, o.status, date)
		assert.Equal(t, "invalid_request", o.json(t)["error"].(map[string]any)["type"])
		for _, v := range versions {
			assert.Contains(t, o.message(t), v.date)
		}
		assert.Equal(t, 400, sim.patch("mem_1", `{"metadata":{"a":"b"}}`, "Api-Version-Date: "+date).status, date)
	}
	assert.Nil(t, sim.stored("K")["metadata"])
	assert.Equal(t, 201, sim.call("POST", validatePath("K"), `{"metadata":{}}`, "Api-Version-Date: nonsense").status, "v2 knows no such header")
}

func TestMembersOfItsOwn(t *testing.T) {
	sim := start(t, `[{"license_key":"K","id":"mem_1","members":{"status":"grace_period","name":"\ud800","list":[1e400]},"without":["cancel_at_period_end","valid"]}]`)
	for _, o := range []observation{sim.get("K"), sim.patch("mem_1", `{}`), sim.validate("K", `{"metadata":{}}`)} {
		assert.Contains(t, string(o.body), `"status":"grace_period"`)
		assert.Contains(t, string(o.body), `"name":"\ud800"`, "as it was written")
		assert.Contains(t, string(o.body), `"list":[1e400]`)
		assert.NotContains(t, string(o.body), "cancel_at_period_end")
		assert.NotContains(t, string(o.body), "valid")
	}
	sim.sim(200, "POST", "/sim/memberships/K", `{"members":{"id":7},"without":null}`)
	assert.Equal(t, 7.0, sim.get("K").json(t)["id"])
	assert.Equal(t, "active", sim.get("K").json(t)["status"])
	sim.sim(200, "POST", "/sim/memberships/K", `{"members":null}`)
	assert.NotContains(t, sim.stored("K"), "members")
	assert.Equal(t, "mem_1", sim.get("K").json(t)["id"])
}

func TestV1NotFound(t *testing.T) {
	sim := start(t, full)
	for _, o := range []observation{
		sim.get("nope"),
		sim.patch("mem_none", `{"metadata":{}}`),
		sim.patch("K", `{"metadata":{}}`), // PATCH takes ids only
	} {
		assert.Equal(t, 404, o.status)
		assert.Equal(t, "not_found", o.json(t)["error"].(map[string]any)["type"])
		assert.Contains(t, o.message(t), "No such Membership")
	}
}

func TestV1PatchSemantics(t *testing.T) {
	steps := []struct{ body, merge, replace string }{
		{`{"metadata":{"HWID":"1"}}`, `{"HWID":"1"}`, `{"HWID":"1"}`},
		{`{"metadata":{"note":"n","nested":{"a":[1,2.50]}}}`, `{"HWID":"1","note":"n","nested":{"a":[1,2.50]}}`, `{"note":"n","nested":{"a":[1,2.50]}}`},
		{`{"metadata":{"note":null}}`, `{"HWID":"1","nested":{"a":[1,2.50]}}`, `{}`},
		{`{"other":1}`, `{"HWID":"1","nested":{"a":[1,2.50]}}`, `{}`},
		{`{"metadata":{"HWID":"2"}}`, `{"HWID":"2","nested":{"a":[1,2.50]}}`, `{"HWID":"2"}`},
		{`{"metadata":{}}`, `{}`, `{}`},
	}
	for _, c := range []struct {
		flags   []string
		version string
		merges  bool
	}{
		{[]string{"--patch-semantics", "merge"}, legacyVersion, true},
		{[]string{"--patch-semantics", "replace"}, "2026-07-23", false},
		{nil, legacyVersion, false},
		{nil, "2026-07-23", true},
	} {
		t.Run(strings.Join(append(c.flags, c.version), " "), func(t *testing.T) {
			sim := start(t, full, c.flags...)
			for _, step := range steps {
				want := step.replace
				if c.merges {
					want = step.merge
				}
				o := sim.patch("mem_1", step.body, "Api-Version-Date: "+c.version)
				require.Equal(t, 200, o.status, "%s: %s", step.body, o.body)
				for _, seen := range []observation{o, sim.get("K")} {
					var m struct{ Metadata json.RawMessage }
					require.NoError(t, json.Unmarshal(seen.body, &m))
					assert.JSONEq(t, want, string(m.Metadata), step.body)
				}
			}
		})
	}
}

func TestV1PatchRefusals(t *testing.T) {
	sim := start(t, full)
	keys := func(n int) string {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return `{"metadata":{` + strings.Join(pairs, ",") + `}}`
	}
	long := func(name, value int) string {
		return fmt.Sprintf(`{"metadata":{%q:%q}}`, strings.Repeat("é", name), strings.Repeat("é", value))
	}
	for name, body := range map[string]string{
		"no body": ``, "not JSON": `x`, "null": `{"metadata":null}`, "a string": `{"metadata":"x"}`,
		"51 keys": keys(51), "long name": long(101, 1), "long value": long(1, 501),
	} {
		o := sim.patch("mem_1", body)
		assert.Equal(t, 400, o.status, name)
		assert.Equal(t, "invalid_request", o.json(t)["error"].(map[string]any)["type"])
	}
	assert.Nil(t, sim.stored("K")["metadata"], "nothing was written")
	assert.Equal(t, 415, sim.bare("PATCH", "/api/v1/memberships/mem_1", `{"metadata":{}}`, credentials[0]).status)
	assert.Equal(t, 200, sim.patch("mem_1", long(100, 500)).status)
	assert.Equal(t, 400, sim.patch("mem_1", keys(50)).status, "merged they are 51")
	assert.Equal(t, 200, sim.patch("mem_1", `{"metadata":{}}`).status)
	assert.Equal(t, 200, sim.patch("mem_1", keys(50)).status)
}

func TestV1IdempotencyKey(t *testing.T) {
	sim := start(t, full)
	first := sim.patch("mem_1", `{"metadata":{"HWID":"1"}}`, "Idempotency-Key: a")
	require.Equal(t, 200, first.status)
	sim.sim(200, "POST", "/sim/reset/K", "")

	again := sim.patch("mem_1", `{"metadata":{"HWID":"1"}}`, "Idempotency-Key: a")
	assert.Equal(t, first.body, again.body, "the same answer")
	assert.Empty(t, sim.stored("K")["metadata"], "and not written again")

	assert.Equal(t, 400, sim.patch("mem_1", `{"metadata":{"HWID":"2"}}`, "Idempotency-Key: a").status)
	bare := sim.stored("bare")["id"].(string)
	assert.Equal(t, 400, sim.patch(bare, `{"metadata":{"HWID":"1"}}`, "Idempotency-Key: a").status, "another membership")
	assert.Equal(t, 200, sim.patch("mem_1", `{"metadata":{"HWID":"2"}}`, "Idempotency-Key: b").status)
	assert.Equal(t, map[string]any{"HWID": "2"}, sim.stored("K")["metadata"])
	assert.Equal(t, 200, sim.patch("mem_1", `{}`, "Idempotency-Key: "+strings.Repeat("k", 255)).status)
	assert.Equal(t, 400, sim.patch("mem_1", `{}`, "Idempotency-Key: "+strings.Repeat("k", 256)).status)
}

func TestIdempotencyKeysAreForgottenInTime(t *testing.T) {
	kept := newIdempotency()
	call := func(i int) *exchange { return newTestCall(t, fmt.Sprintf("key-%d", i)) }
	for i := range maxIdempotencyKeys + 2 {
		kept.keep(call(i), answer{status: 200})
	}
	assert.Len(t, kept.kept, maxIdempotencyKeys)
	assert.Len(t, kept.order, maxIdempotencyKeys)
	for i, want := range map[int]bool{0: false, 1: false, 2: true, maxIdempotencyKeys + 1: true} {
		_, found, err := kept.find(call(i))
		assert.NoError(t, err)
		assert.Equal(t, want, found, i)
	}
}

func TestPermissions(t *testing.T) {
	for granted, want := range map[string]struct{ v2, get, patch int }{
		"member:basic:read,member:email:read,member:manage": {201, 200, 200},
		"member:basic:read,member:email:read":               {403, 200, 403},
		"member:basic:read,member:manage":                   {403, 403, 200},
		"member:email:read":                                 {403, 403, 403},
		"none":                                              {403, 403, 403},
	} {
		t.Run(granted, func(t *testing.T) {
			sim := start(t, full, "--permissions", granted)
			v2 := sim.validate("K", `{"metadata":{"HWID":"1"}}`)
			get := sim.get("K")
			assert.Equal(t, want.v2, v2.status)
			assert.Equal(t, want.get, get.status)
			assert.Equal(t, want.patch, sim.patch("mem_1", `{"metadata":{"HWID":"1"}}`).status)
			if want.get == 403 {
				assert.Contains(t, get.message(t), "member:", "it says which one is missing")
				assert.Equal(t, "forbidden", get.json(t)["error"].(map[string]any)["type"])
			}
			if want.v2 == 403 {
				assert.Equal(t, 403.0, v2.json(t)["error"].(map[string]any)["status"])
			}
		})
	}
}
