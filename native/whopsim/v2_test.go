package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestV2BindsOnFirstUseAndRefusesAnotherMachine(t *testing.T) {
	sim := start(t, `[{"license_key":"BETA-18DCE6-E146E733-5C8655W"}]`)
	const key = "BETA-18DCE6-E146E733-5C8655W"

	first := sim.validate(key, `{"metadata":{"HWID":"one"}}`)
	require.Equal(t, 201, first.status)
	assert.Equal(t, map[string]any{"HWID": "one"}, first.json(t)["metadata"])
	assert.Equal(t, map[string]any{"HWID": "one"}, sim.stored(key)["metadata"])
	assert.Equal(t, "application/json; charset=utf-8", first.header.Get("Content-Type"))

	again := sim.validate(key, `{"metadata":{"HWID":"one"},"nonce":"AAAAAAAAAAAAAAAAAAAAAA"}`)
	assert.Equal(t, 201, again.status, "a nonce is ignored")
	assert.NotContains(t, again.json(t), "nonce")
	assert.Equal(t, 201, sim.validate(first.json(t)["id"].(string), `{"metadata":{"HWID":"one"}}`).status, "by mem_ id")

	for name, body := range map[string]string{
		"another value":   `{"metadata":{"HWID":"two"}}`,
		"another name":    `{"metadata":{"hwid":"one"}}`,
		"a name too many": `{"metadata":{"HWID":"one","version":"2"}}`,
		"another type":    `{"metadata":{"HWID":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			o := sim.validate(key, body)
			assert.Equal(t, 400, o.status)
			assert.Equal(t, map[string]any{"error": map[string]any{"code": 400.0, "message": "Please reset your key to use on a new machine"}}, o.json(t))
			assert.Equal(t, map[string]any{"HWID": "one"}, sim.stored(key)["metadata"], "a mismatch never overwrites")
		})
	}

	sim.sim(200, "POST", "/sim/reset/"+key, "")
	assert.Equal(t, 201, sim.validate(key, `{"metadata":{"HWID":"two"}}`).status, "after Reset Key")
	assert.Equal(t, 400, sim.validate(key, `{"metadata":{"HWID":"one"}}`).status)
}

func TestV2AnswersTheWholeMembership(t *testing.T) {
	sim := start(t, `[{
		"license_key":"K","id":"mem_1","product":"prod_1","plan":"plan_1","user":"user_1","email":"a@example.com",
		"status":"completed","metadata":{"HWID":"m"},"quantity":3,"cancel_at_period_end":true,"manage_url":"https://example.com/m",
		"created_at":1700000000,"expires_at":"2030-01-02T03:04:05Z","renewal_period_start":1,"renewal_period_end":null}]`)
	assert.Equal(t, map[string]any{
		"license_key": "K", "id": "mem_1", "product": "prod_1", "plan": "plan_1", "user": "user_1", "email": "a@example.com",
		"status": "completed", "valid": true, "metadata": map[string]any{"HWID": "m"}, "quantity": 3.0,
		"cancel_at_period_end": true, "manage_url": "https://example.com/m",
		"created_at": 1700000000.0, "expires_at": 1893553445.0, "renewal_period_start": 1.0, "renewal_period_end": nil,
	}, sim.validate("K", `{"metadata":{"HWID":"m"}}`).json(t))
}

func TestV2UnknownKey(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	for path, shown := range map[string]string{
		"nope": "nope", "k": "k", "a%20b%2Fc": "a b/c", "%2e%2e": "..", "%C3%A9": "é",
	} {
		o := sim.validate(path, `{"metadata":{}}`)
		assert.Equal(t, 404, o.status, path)
		assert.Equal(t, map[string]any{"error": map[string]any{"status": 404.0, "message": "No such Membership found with the provided ID: " + shown}}, o.json(t))
	}
}

func TestV2DecodesTheKeyOfThePath(t *testing.T) {
	sim := start(t, `[{"license_key":"a/b c?é%2F+"}]`)
	assert.Equal(t, 201, sim.validate("a%2Fb%20c%3F%C3%A9%252F+", `{"metadata":{}}`).status)
}

func TestV2BadRequests(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	for name, body := range map[string]string{
		"no body":            ``,
		"no metadata":        `{}`,
		"other case":         `{"Metadata":{"HWID":"1"}}`,
		"null":               `{"metadata":null}`,
		"a string":           `{"metadata":"HWID"}`,
		"an array":           `{"metadata":["HWID"]}`,
		"not JSON":           `metadata=HWID`,
		"an array of bodies": `[{"metadata":{}}]`,
		"trailing data":      `{"metadata":{}}{}`,
		"cut off":            `{"metadata":{"HWID":"1"}`,
		"not UTF-8":          "{\"metadata\":{\"HWID\":\"\xff\"}}",
	} {
		t.Run(name, func(t *testing.T) {
			o := sim.validate("K", body)
			assert.Equal(t, 400, o.status)
			assert.NotContains(t, o.message(t), "reset your key")
			assert.Empty(t, sim.stored("K")["metadata"])
		})
	}
	assert.Equal(t, 413, sim.validate("K", `{"metadata":{"HWID":"`+strings.Repeat("x", maxBody)+`"}}`).status)
	assert.Equal(t, 415, sim.bare("POST", validatePath("K"), `{"metadata":{}}`, credentials[0], "Content-Type: text/plain").status)
	assert.Equal(t, 415, sim.bare("POST", validatePath("K"), `{"metadata":{}}`, credentials[0]).status)
	assert.Equal(t, 201, sim.bare("POST", validatePath("K"), `{"metadata":{}}`, credentials[0], "Content-Type: Application/JSON; charset=utf-8").status)
}

func TestUnauthorized(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	for name, headers := range map[string][]string{
		"no header":    {},
		"another key":  {"Authorization: Bearer other"},
		"another kind": {"Authorization: Basic " + testKey},
		"no kind":      {"Authorization: " + testKey},
		"longer":       {"Authorization: Bearer " + testKey + "x"},
		"shorter":      {"Authorization: Bearer " + testKey[1:]},
		"empty":        {"Authorization: Bearer "},
	} {
		t.Run(name, func(t *testing.T) {
			v2 := sim.bare("POST", validatePath("K"), `{"metadata":{"HWID":"1"}}`, append(headers, "Content-Type: application/json")...)
			assert.Equal(t, 401, v2.status)
			assert.Equal(t, 401.0, v2.json(t)["error"].(map[string]any)["status"])
			assert.False(t, sim.last().Authorized)
			v1 := sim.bare("GET", "/api/v1/memberships/K", "", headers...)
			assert.Equal(t, 401, v1.status)
			assert.Equal(t, "unauthorized", v1.json(t)["error"].(map[string]any)["type"])
		})
	}
	assert.Empty(t, sim.stored("K")["metadata"])
	assert.Equal(t, 201, sim.bare("POST", validatePath("K"), `{"metadata":{}}`, "Authorization: bearer "+testKey, "Content-Type: application/json").status)
	assert.True(t, sim.last().Authorized)
}

func TestV2EmptyMetadata(t *testing.T) {
	const list = `[{"license_key":"free"},{"license_key":"null","metadata":null},{"license_key":"bound","metadata":{"HWID":"1"}}]`
	for mode, bound := range map[string]int{"match": 201, "mismatch": 400} {
		t.Run(mode, func(t *testing.T) {
			sim := start(t, list, "--empty-metadata", mode)
			assert.Equal(t, 201, sim.validate("free", `{"metadata":{}}`).status)
			assert.Equal(t, map[string]any{}, sim.stored("free")["metadata"])
			assert.Equal(t, map[string]any{}, sim.validate("null", `{"metadata":{}}`).json(t)["metadata"])
			assert.Equal(t, bound, sim.validate("bound", `{"metadata":{}}`).status)
			assert.Equal(t, map[string]any{"HWID": "1"}, sim.stored("bound")["metadata"])
		})
	}
}

func TestV2KeyThatDoesNotEntitle(t *testing.T) {
	sim := start(t, `[{"license_key":"canceled","status":"canceled"},{"license_key":"odd","status":"active","valid":false},
		{"license_key":"kept","status":"expired","valid":true},{"license_key":"bound","status":"expired","metadata":{"HWID":"1"}}]`)
	for key, valid := range map[string]bool{"canceled": false, "odd": false, "kept": true} {
		o := sim.validate(key, `{"metadata":{"HWID":"1"}}`)
		require.Equal(t, 201, o.status, key)
		assert.Equal(t, valid, o.json(t)["valid"], key)
		if valid {
			assert.NotEmpty(t, sim.stored(key)["metadata"], key)
		} else {
			assert.Empty(t, sim.stored(key)["metadata"], "%s: nothing is bound", key)
		}
	}
	assert.Equal(t, 400, sim.validate("bound", `{"metadata":{"HWID":"2"}}`).status)
	for status, valid := range statuses {
		key := "status-" + status
		sim.sim(201, "POST", "/sim/memberships", fmt.Sprintf(`{"license_key":%q,"status":%q}`, key, status))
		o := sim.validate(key, `{"metadata":{}}`)
		assert.Equal(t, valid, o.json(t)["valid"], status)
		assert.Equal(t, status, o.json(t)["status"])
	}
}

func TestV2ManyFirstUsesAtOnceBindOne(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`, "--rate-limit", "0")
	const machines = 40
	bodies := make([]string, machines)
	answers := make([]int, machines)
	var wait sync.WaitGroup
	for i := range machines {
		bodies[i] = fmt.Sprintf(`{"metadata":{"HWID":"machine-%d"}}`, i)
		wait.Go(func() {
			req, err := http.NewRequest("POST", sim.url+validatePath("K"), strings.NewReader(bodies[i]))
			if !assert.NoError(t, err) {
				return
			}
			req.Header.Set("Authorization", "Bearer "+testKey)
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if assert.NoError(t, err) {
				answers[i] = resp.StatusCode
				_ = resp.Body.Close()
			}
		})
	}
	wait.Wait()
	var bound []int
	for i, status := range answers {
		if status == 201 {
			bound = append(bound, i)
		} else {
			assert.Equal(t, 400, status)
		}
	}
	require.Len(t, bound, 1)
	assert.Equal(t, map[string]any{"HWID": fmt.Sprintf("machine-%d", bound[0])}, sim.stored("K")["metadata"])
	st := sim.stats(opValidate)
	assert.EqualValues(t, machines, st.Requests)
	assert.Equal(t, map[string]int64{"201": 1, "400": machines - 1}, st.Statuses)
	assert.Zero(t, st.InFlight)
}

func TestRetiredV2(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`, "--retire-v2")
	o := sim.validate("K", `{"metadata":{"HWID":"1"}}`)
	assert.Equal(t, 410, o.status)
	assert.Contains(t, o.message(t), "retired")
	assert.Empty(t, sim.stored("K")["metadata"])
	assert.Equal(t, 200, sim.get("K").status)
}

func TestNoSuchRoute(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`)
	for _, path := range []string{"/api/v2/memberships/K", "/api/v2/memberships//validate_license", "/api/v2/memberships/../validate_license", validatePath("K") + "/", "/api/v3/memberships/K"} {
		o := sim.call("POST", path, `{"metadata":{}}`)
		assert.Equal(t, 404, o.status, "%s must not be redirected", path)
		assert.Equal(t, opUnknown, sim.last().Operation)
	}
	assert.Equal(t, 404, sim.call("GET", validatePath("K"), "").status)
	assert.Equal(t, 404, sim.bare("GET", "/elsewhere", "").status)
	assert.Equal(t, opUnknown, sim.last().Operation)
}
