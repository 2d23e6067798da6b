package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMembershipDefaults(t *testing.T) {
	list, err := parseMemberships([]byte(`[{"license_key":"A"},{"license_key":"B"}]`))
	require.NoError(t, err)
	again, err := parseMemberships([]byte(`[{"license_key":"A"}]`))
	require.NoError(t, err)
	a, b := list[0], list[1]
	assert.Equal(t, a.fields(), again[0].fields(), "the same in every run")
	assert.Regexp(t, `^mem_[0-9a-f]{14}$`, a.id)
	for _, pair := range [][2]string{{a.id, b.id}, {a.user, b.user}, {a.email, b.email}, {a.username, b.username}, {a.manageURL, b.manageURL}} {
		assert.NotEmpty(t, pair[0])
		assert.NotEqual(t, pair[0], pair[1])
	}
	assert.True(t, a.entitled())
	assert.Nil(t, a.expiresAt)
}

func TestMembershipErrorsNameIndexAndField(t *testing.T) {
	for input, want := range map[string]string{
		``:                      "not a JSON array of objects",
		`{}`:                    "not a JSON array of objects",
		`null`:                  "not a JSON array of objects",
		`[] []`:                 "not a JSON array of objects",
		"[\"\xff\"]":            "not valid UTF-8",
		`[1]`:                   "[0]: not a JSON object",
		`[{}]`:                  "[0].license_key: missing",
		`[{"License_Key":"K"}]`: "[0].license_key: missing",
		`[{"license_key":"K"},{"license_key":""}]`:              "[1].license_key: must have 1 to 200 characters",
		`[{"license_key":5}]`:                                   "[0].license_key: must be a string",
		`[{"license_key":null}]`:                                "[0].license_key: must be a string",
		`[{"license_key":"` + strings.Repeat("x", 201) + `"}]`:  "[0].license_key: must have 1 to 200 characters",
		`[{"license_key":"K","license":1}]`:                     "[0].license: unknown field; known are cancel_at_period_end, ",
		`[{"license_key":"K","status":"activ"}]`:                `[0].status: "activ" is unknown; known are active, `,
		`[{"license_key":"K","valid":"yes"}]`:                   "[0].valid: must be true, false or null",
		`[{"license_key":"K","metadata":[]}]`:                   "[0].metadata: must be an object",
		`[{"license_key":"K","quantity":1.5}]`:                  "[0].quantity: must be an integer",
		`[{"license_key":"K","quantity":-1}]`:                   "[0].quantity: must be from 0 to",
		`[{"license_key":"K","cancel_at_period_end":null}]`:     "[0].cancel_at_period_end: must be true or false",
		`[{"license_key":"K","expires_at":"tomorrow"}]`:         `[0].expires_at: "tomorrow" is not an ISO 8601 time`,
		`[{"license_key":"K","expires_at":1e30}]`:               "[0].expires_at: must be Unix seconds",
		`[{"license_key":"K","expires_at":-1}]`:                 "[0].expires_at: must lie between",
		`[{"license_key":"K","expires_at":1700000000000}]`:      "[0].expires_at: must lie between",
		`[{"license_key":"K","members":[]}]`:                    "[0].members: must be an object or null",
		`[{"license_key":"K","without":"status"}]`:              "[0].without: must be a list of names or null",
		`[{"license_key":"K","fault":"no-such"}]`:               `[0].fault: "no-such" is unknown; known are 200, 202, `,
		`[{"license_key":"K","fault_on":["v3.get"]}]`:           `[0].fault_on: "v3.get" is unknown; known are v2.validate, v1.get, v1.patch`,
		`[{"license_key":"K","fault_on":"v1.get"}]`:             "[0].fault_on: must be a list of operations",
		`[{"license_key":"K","fault_times":-1}]`:                "[0].fault_times: must be from 0",
		`[{"license_key":"K","fault_delay":"61s"}]`:             "[0].fault_delay: must be a duration",
		`[{"license_key":"K","fault_delay":3}]`:                 "[0].fault_delay: must be a duration",
		`[{"license_key":"K","fault_probability":1.1}]`:         "[0].fault_probability: must be from 0 to 1",
		`[{"license_key":"K","fault_retry_after":"1\r\nX: y"}]`: "[0].fault_retry_after: must have at most 200 characters, none of them a control character",
		`[{"license_key":"K","fault_retry_after":1}]`:           "[0].fault_retry_after: must be a string",
	} {
		_, err := parseMemberships([]byte(input))
		if assert.Error(t, err, input) {
			assert.Contains(t, err.Error(), want, input)
		}
	}
}

func TestMembershipTimes(t *testing.T) {
	list, err := parseMemberships([]byte(`[{"license_key":"K","created_at":"2026-01-31T13:00:00.5+01:00","expires_at":0,"renewal_period_start":253402300799,"renewal_period_end":null}]`))
	require.NoError(t, err)
	assert.EqualValues(t, 1769860800, *list[0].createdAt)
	assert.EqualValues(t, 0, *list[0].expiresAt)
	assert.Equal(t, "9999-12-31T23:59:59.000Z", iso(list[0].renewalPeriodStart))
	assert.Nil(t, iso(list[0].renewalEnd))
}

// FuzzMemberships holds that any file is either refused or gives memberships
// that can be shown and loaded again.
func FuzzMemberships(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`[{"license_key":"K","fault":"random-500","fault_on":["v1.get"],"fault_delay":"1ms","valid":null,"metadata":{"a":[1.50]}}]`))
	f.Add([]byte(`[{"license_key":"K","members":{"a":"\ud800<\u2028", "b":[1e400]},"without":["status"]}]`))
	f.Add([]byte(`[{"license_key":"\ud800","expires_at":"2026-02-30T00:00:00Z"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseMemberships(data)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		for i := range list {
			shown, err := json.Marshal([]any{list[i].fields()})
			require.NoError(t, err)
			again, err := parseMemberships(shown)
			require.NoError(t, err, "%s", shown)
			require.Equal(t, list[i].fields(), again[0].fields())
			encode(shapeV2(&list[i]))
			for _, v := range versions {
				encode(v.shape(&list[i]))
			}
		}
	})
}
