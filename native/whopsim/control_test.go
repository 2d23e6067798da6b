package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestControlShowsCreatesAndChanges(t *testing.T) {
	sim := start(t, `[{"license_key":"K","metadata":{"HWID":"1"},"fault":"slow","fault_on":["v1.get"]},{"license_key":"L"}]`)
	k := sim.stored("K")
	assert.Equal(t, sim.stored(k["id"].(string)), k)

	var all []map[string]any
	require.NoError(t, json.Unmarshal(sim.sim(200, "GET", "/sim/memberships", "").body, &all))
	require.Len(t, all, 2)
	assert.Equal(t, k, all[0])
	again, err := json.Marshal(all)
	require.NoError(t, err)
	parsed, err := parseMemberships(again)
	require.NoError(t, err, "what it shows can be loaded")
	require.Len(t, parsed, 2)
	reread, err := json.Marshal(parsed[0].fields())
	require.NoError(t, err)
	assert.JSONEq(t, string(sim.sim(200, "GET", "/sim/memberships/K", "").body), string(reread))

	created := sim.sim(201, "POST", "/sim/memberships", `{"license_key":"a/b","product":"prod_2"}`).json(t)
	assert.Equal(t, "prod_2", created["product"])
	assert.Equal(t, created, sim.stored("a%2Fb"))
	sim.sim(409, "POST", "/sim/memberships", `{"license_key":"K"}`)
	sim.sim(409, "POST", "/sim/memberships", fmt.Sprintf(`{"license_key":"M","id":%q}`, k["id"]))
	sim.sim(409, "POST", "/sim/memberships", `{"license_key":"N","id":"N"}`)
	sim.sim(409, "POST", "/sim/memberships", fmt.Sprintf(`{"license_key":%q}`, k["id"]))
	sim.sim(400, "POST", "/sim/memberships", `{}`)

	changed := sim.sim(200, "POST", "/sim/memberships/K", `{"product":"prod_3","expires_at":5,"metadata":null}`).json(t)
	assert.Equal(t, "prod_3", changed["membership"].(map[string]any)["product"])
	assert.Equal(t, []any{}, changed["webhooks"])
	assert.Equal(t, 5.0, sim.stored("K")["expires_at"])
	assert.Nil(t, sim.stored("K")["metadata"])
}

func TestControlRefuses(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	before := sim.stored("K")
	for _, bad := range []struct{ path, body, says string }{
		{"/sim/memberships/K", `{"status":"activ"}`, "status: "},
		{"/sim/memberships/K", `{"product":"x","statuz":"active"}`, "statuz: unknown field"},
		{"/sim/memberships/K", `{"license_key":"L"}`, "license_key: can't be changed"},
		{"/sim/memberships/K", `{"id":"mem_2"}`, "id: can't be changed"},
		{"/sim/memberships/K", `[]`, "not a JSON object"},
		{"/sim/memberships/K", ``, "not a JSON object"},
		{"/sim/outage", `{"on":true,"kind":"slow"}`, "kind: "},
		{"/sim/outage", `{"on":"yes"}`, "on: must be true or false"},
		{"/sim/outage", `{"kind":"500"}`, "on: missing"},
		{"/sim/latency", `{"latency":"2h"}`, "latency: "},
		{"/sim/latency", `{"latency":"40s","jitter":"40s"}`, "at most 1m0s"},
		{"/sim/latency", `{"latency":5}`, "latency: "},
		{"/sim/latency", `{"latency":"1s","more":1}`, "more: unknown field"},
	} {
		o := sim.sim(400, "POST", bad.path, bad.body)
		assert.Contains(t, o.json(t)["error"], bad.says)
	}
	assert.Equal(t, before, sim.stored("K"), "all or nothing")
	for _, path := range []string{"/sim/memberships/nope", "/sim/reset/nope", "/sim/cancel/nope", "/sim/remake/nope"} {
		sim.sim(404, "POST", path, `{}`)
	}
	sim.sim(409, "POST", "/sim/webhook/K", `{"type":"membership.activated"}`)
}

func TestCancel(t *testing.T) {
	sim := start(t, `[{"license_key":"K","valid":true,"metadata":{"HWID":"1"}}]`)
	sim.sim(200, "POST", "/sim/cancel/K", "")
	o := sim.validate("K", `{"metadata":{"HWID":"1"}}`)
	assert.Equal(t, 201, o.status)
	assert.Equal(t, false, o.json(t)["valid"])
	assert.Equal(t, "canceled", sim.get("K").json(t)["status"])
}

func TestRemade(t *testing.T) {
	sim := start(t, `[{"license_key":"K","metadata":{"HWID":"1"}}]`)
	id := sim.stored("K")["id"]
	seen := map[any]bool{"K": true}
	key := "K"
	for range 3 {
		o := sim.sim(200, "POST", "/sim/remake/"+key, "").json(t)
		assert.Equal(t, id, o["id"])
		assert.Equal(t, 404, sim.get(key).status, "the old key is unknown")
		key = o["license_key"].(string)
		assert.False(t, seen[key])
		seen[key] = true
		assert.Equal(t, key, sim.get(key).json(t)["license_key"])
		assert.Equal(t, key, sim.get(id.(string)).json(t)["license_key"])
		assert.Equal(t, 201, sim.validate(key, `{"metadata":{"HWID":"1"}}`).status)
	}
}

func TestOutage(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	assert.Equal(t, map[string]any{"on": true, "kind": "503"}, sim.sim(200, "POST", "/sim/outage", `{"on":true}`).json(t))
	for _, o := range []observation{sim.validate("K", `{"metadata":{"HWID":"1"}}`), sim.get("K"), sim.get("nope"), sim.bare("GET", "/api/v1/memberships/K", "")} {
		assert.Equal(t, 503, o.status)
	}
	assert.Equal(t, "503", sim.last().Fault)
	assert.Empty(t, sim.stored("K")["metadata"])
	for _, kind := range outageKinds() {
		sim.sim(200, "POST", "/sim/outage", fmt.Sprintf(`{"on":true,"kind":%q}`, kind))
		if kind != "timeout" {
			assert.NotNil(t, expected[kind])
			o := sim.get("K")
			assert.NotContains(t, string(o.body), "license_key", kind)
			assert.Equal(t, kind, sim.last().Fault)
		}
	}
	assert.Equal(t, 200, sim.bare("GET", "/api/redirected/v2.validate/K", "").status, "a redirect leads somewhere")
	sim.sim(200, "POST", "/sim/outage", `{"on":false}`)
	assert.Equal(t, 200, sim.get("K").status)
}

func TestLatency(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`, "--latency", "50s", "--latency-jitter", "5s")
	conn := sim.open("GET", "/api/v1/memberships/K", "", credentials...)
	require.Eventually(t, func() bool { return sim.stats(opGet).InFlight == 1 }, waitFor, tick)
	require.NoError(t, conn.Close())
	assert.Equal(t, "cut", sim.last().Outcome, "it ends when the client leaves")

	assert.Equal(t, map[string]any{"latency": "1ms", "jitter": "1ms"}, sim.sim(200, "POST", "/sim/latency", `{"latency":"1ms","jitter":"1ms"}`).json(t))
	assert.Equal(t, 200, sim.get("K").status)
	sim.sim(200, "POST", "/sim/latency", `{"latency":"0s"}`)
	assert.Equal(t, 200, sim.get("K").status)
}

func TestRequestsAndStats(t *testing.T) {
	sim := start(t, `[{"license_key":"a/b","id":"mem_1"}]`)
	sim.call("POST", validatePath("a%2Fb"), `{"metadata":{"HWID":"1"}}`, "Origin: http://page.example")
	sim.patch("mem_1", `{"metadata":{"HWID":"2"}}`, "Api-Version-Date: 2026-07-20", "Idempotency-Key: i")
	sim.get("nope")
	sim.last()
	list := sim.journal()
	require.Len(t, list, 3)
	for i := range list {
		assert.EqualValues(t, i+1, list[i].Seq)
		assert.False(t, list[i].At.IsZero())
		list[i].Seq, list[i].At = 0, list[0].At.Truncate(1)
	}
	at := list[0].At
	assert.Equal(t, []entry{
		{At: at, Operation: opValidate, Method: "POST", Path: validatePath("a%2Fb"), Key: "a/b", Origin: "http://page.example", Authorized: true, Body: `{"metadata":{"HWID":"1"}}`, Status: 201, Outcome: "answered"},
		{At: at, Operation: opPatch, Method: "PATCH", Path: "/api/v1/memberships/mem_1", Key: "mem_1", Authorized: true, VersionDate: "2026-07-20", IdempotencyKey: "i", Body: `{"metadata":{"HWID":"2"}}`, Status: 200, Outcome: "answered"},
		{At: at, Operation: opGet, Method: "GET", Path: "/api/v1/memberships/nope", Key: "nope", Authorized: true, Status: 404, Outcome: "answered"},
	}, list)
	assert.NotContains(t, string(sim.sim(200, "GET", "/sim/requests", "").body), testKey, "the API key is not shown")
	assert.EqualValues(t, 3, sim.sim(200, "GET", "/sim/stats", "").json(t)["total"])
	assert.Equal(t, operationStats{Requests: 1, MaxInFlight: 1, Statuses: map[string]int64{"404": 1}}, sim.stats(opGet))

	sim.sim(204, "DELETE", "/sim/requests", "")
	assert.Empty(t, sim.journal())
	assert.EqualValues(t, 0, sim.sim(200, "GET", "/sim/stats", "").json(t)["total"])
}

func TestJournalIsBounded(t *testing.T) {
	j := newJournal()
	c := newTestCall(t, "")
	for range maxEntries + 5 {
		e := j.begin(opPatch, c.r)
		j.setBody(e, make([]byte, maxBody))
		j.end(e, &recorder{status: 200})
	}
	list := j.requests()
	require.Len(t, list, maxEntries)
	assert.EqualValues(t, 6, list[0].Seq)
	assert.Len(t, list[0].Body, maxEntryBody)
	assert.EqualValues(t, maxEntries+5, j.stats[opPatch].Requests)
}
