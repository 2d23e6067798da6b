package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The shapes of Whop's versions, as its documentation shows them.
var shapes = map[string]string{
	"2025-01-01": `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":{"id":"prod_1","title":"T"},"plan":{"id":"plan_1"},"company":{"id":"biz_1","title":"B"},"user":{"id":"user_1","username":"u","name":"n","email":"e"},"manage_url":"https://whop.com/m","cancel_at_period_end":false,"created_at":"2025-01-01T00:00:00Z","joined_at":null,"updated_at":"2025-02-01T00:00:00Z","renewal_period_start":"2025-12-01T00:00:00Z","renewal_period_end":"2026-01-01T00:00:00.000Z","payment_collection_paused":false,"checkout_configuration_id":null}`,
	"mid-2026":   `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product_id":"prod_1","plan_id":"plan_1","user_id":"user_1","account":{"id":"biz_1","title":"B","route":"r"},"member":{"id":"mber_1"},"phone_number":null,"cancel_at_period_end":false,"created_at":"2025-01-01T02:00:00.5+02:00","current_period_start":1764547200,"current_period_end":"2026-01-01T00:00:00Z"}`,
	"2026-11-17": `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":{"id":"prod_1"},"product_id":"prod_1","variant":{"id":"plan_1","plan":[]},"affiliate":{"id":7},"billing_period_days":30.5,"canceled_at":null,"cancel_option":["x"],"cancel_at_period_end":false,"created_at":1735689600,"current_period_start":"2025-12-01T00:00:00Z","current_period_end":1767225600}`,
	"bare ids":   `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":"prod_1","plan":"plan_1","user":null,"cancel_at_period_end":false,"created_at":1735689600,"renewal_period_start":1764547200,"renewal_period_end":1767225600}`,
	"a variant":  `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product_id":{"id":"prod_1"},"plan":null,"variant_id":"plan_1","cancel_at_period_end":false,"created_at":1735689600,"renewal_period_start":null,"renewal_period_end":null,"current_period_start":1764547200,"current_period_end":1767225600}`,
}

var legacy = shapes["2025-01-01"]

func TestParseMembershipInEveryShape(t *testing.T) {
	for version, body := range shapes {
		for _, asked := range []string{"K", "k", "mem_1"} {
			m, odd, err := parseMembership([]byte(body), asked)
			require.NoError(t, err, version)
			assert.Empty(t, odd, version)
			url := m.manageURL
			m.manageURL = nil
			assert.Equal(t, &membership{
				id: "mem_1", product: "prod_1", plan: new("plan_1"), status: "active", quantity: 1,
				metadata:  metadata{"HWID": {text: "a", string: true}},
				createdAt: new(int64(1735689600)), periodStart: new(int64(1764547200)), periodEnd: new(int64(1767225600)),
			}, m, version)
			assert.Equal(t, version == "2025-01-01", url != nil, version)
		}
	}
}

// legacyWith returns the legacy shape with some members set, or left out where the
// value is empty.
func legacyWith(members ...string) string {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(legacy), &all); err != nil {
		panic(err)
	}
	for i := 0; i < len(members); i += 2 {
		delete(all, members[i])
		if members[i+1] != "" {
			all[members[i]] = json.RawMessage(members[i+1])
		}
	}
	var text []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text = append(text, `"`+name+`":`+string(all[name]))
	}
	return "{" + strings.Join(text, ",") + "}"
}

// legacyPlus returns the legacy shape with more text at the end of the object.
func legacyPlus(text string) string { return strings.TrimSuffix(legacy, "}") + text + "}" }

func TestParseMembershipRefuses(t *testing.T) {
	_, _, err := parseMembership([]byte(legacyWith()), "K")
	require.NoError(t, err)
	for name, c := range map[string]struct{ body, says string }{
		"nothing":                    {``, "not an object"},
		"null":                       {`null`, "not an object"},
		"a list":                     {`[` + legacy + `]`, "not an object"},
		"two of them":                {legacy + legacy, "more than an object"},
		"cut off":                    {legacy[:len(legacy)-1], "not JSON"},
		"no id":                      {legacyWith("id", ``), "id is absent"},
		"a short id":                 {legacyWith("id", `"mem_"`), "not a membership's"},
		"an id as a path":            {legacyWith("id", `"mem_../x"`), "not a membership's"},
		"a long id":                  {legacyWith("id", `"mem_`+strings.Repeat("x", 100)+`"`), "not a membership's"},
		"another kind of id":         {legacyWith("id", `"user_1"`), "not a membership's"},
		"an id in a list":            {legacyWith("id", `["mem_1"]`), "id is array"},
		"no status":                  {legacyWith("status", ``), "status is absent"},
		"null status":                {legacyWith("status", `null`), "status is null"},
		"an empty status":            {legacyWith("status", `""`), "status is string"},
		"a status number":            {legacyWith("status", `1`), "status is number"},
		"a status object":            {legacyWith("status", `{"id":"active"}`), "status is object"},
		"status twice":               {legacyPlus(`,"status":"active"`), "status is given twice"},
		"status twice, escaped":      {legacyPlus(`,"\u0073tatus":"active"`), "status is given twice"},
		"no product":                 {legacyWith("product", ``), "neither the member product nor product_id"},
		"a null product":             {legacyWith("product", `null`), "neither the member product nor product_id"},
		"a product without id":       {legacyWith("product", `{"title":"T"}`), "neither the member product nor product_id"},
		"a product list":             {legacyWith("product", `["prod_1"]`), "product is array"},
		"a product number":           {legacyWith("product", `1`), "product is number"},
		"a product with two ids":     {legacyWith("product", `{"id":"prod_1","id":"prod_2"}`), "neither the member product nor product_id"},
		"products that differ":       {legacyWith("product_id", `"prod_2"`), "differ"},
		"an odd product id":          {legacyWith("product_id", `1`), "product_id is number"},
		"product twice":              {legacyPlus(`,"product":"prod_1"`), "product is given twice"},
		"no metadata":                {legacyWith("metadata", ``), "metadata is absent"},
		"metadata a list":            {legacyWith("metadata", `[]`), "metadata is array"},
		"metadata a string":          {legacyWith("metadata", `"x"`), "metadata is string"},
		"metadata false":             {legacyWith("metadata", `false`), "metadata is boolean"},
		"metadata twice":             {legacyPlus(`,"metadata":null`), "metadata is given twice"},
		"a name in metadata twice":   {legacyWith("metadata", `{"H":"a","H":"b"}`), "a name twice"},
		"a lone surrogate in a name": {legacyWith("metadata", `{"H\ud800":"a"}`), "not Unicode"},
		"a lone surrogate in it":     {legacyWith("metadata", `{"H":"\ud800"}`), "not Unicode"},
		"no license key":             {legacyWith("license_key", ``), "license_key is absent"},
		"a license key list":         {legacyWith("license_key", `["K"]`), "license_key is array"},
		"a license key number":       {legacyWith("license_key", `1`), "license_key is number"},
		"license key twice":          {legacyPlus(`,"license_key":"K"`), "license_key is given twice"},
		"another license":            {legacyWith("license_key", `"OTHER"`), "another membership"},
		"a cancellation twice":       {legacyPlus(`,"cancel_at_period_end":true`), "cancel_at_period_end is given twice"},
		"a period's end twice":       {legacyPlus(`,"renewal_period_end":null`), "renewal_period_end is given twice"},
		"names in capitals":          {`{"ID":"mem_1","STATUS":"active","PRODUCT_ID":"p","LICENSE_KEY":null,"METADATA":null}`, "id is absent"},
	} {
		m, _, err := parseMembership([]byte(c.body), "K")
		assert.ErrorContains(t, err, c.says, name)
		assert.Nil(t, m, name)
	}
	_, _, err = parseMembership([]byte(legacy), "mem_2")
	assert.ErrorContains(t, err, "another membership", "asked for another id")
}

// Whatever only decorates stops no license.
func TestMembersThatDecorateAreReadLeniently(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		odd  []oddity
	}{
		"a link as an object":          {legacyWith("manage_url", `{"href":"x"}`), []oddity{{"manage_url", "object"}}},
		"a link with half a character": {legacyWith("manage_url", `"\ud800"`), []oddity{{"manage_url", "string"}}},
		"a quantity in text":           {legacyWith("quantity", `"1"`), []oddity{{"quantity", "string"}}},
		"a quantity in parts":          {legacyWith("quantity", `1.5`), []oddity{{"quantity", "number"}}},
		"a time without a zone":        {legacyWith("created_at", `"2025-01-01T00:00:00"`), []oddity{{"created_at", "string"}}},
		"an empty time":                {legacyWith("created_at", `""`), []oddity{{"created_at", "string"}}},
		"a time too great":             {legacyWith("created_at", `1e300`), []oddity{{"created_at", "number"}}},
		"a time before all":            {legacyWith("created_at", `-1`), []oddity{{"created_at", "number"}}},
		"a start that is none":         {legacyWith("renewal_period_start", `{}`), []oddity{{"renewal_period_start", "object"}}},
		"a plan as a list":             {legacyWith("plan", `["plan_1"]`), []oddity{{"plan", "array"}}},
		"a plan without id":            {legacyWith("plan", `{}`), []oddity{{"plan", "object"}}},
		"a plan twice":                 {legacyPlus(`,"plan":"plan_2"`), []oddity{{"plan", "given twice"}}},
		"a link twice":                 {legacyPlus(`,"manage_url":"x"`), []oddity{{"manage_url", "given twice"}}},
		"a lone surrogate in a name":   {legacyPlus(`,"user":{"name":"\ud800"}`), nil},
		"one in a member's name":       {legacyPlus(`,"\udc00":1`), nil},
		"bytes that are no text":       {legacyPlus(",\"note\":\"\xff\""), nil},
		"an unknown member twice":      {legacyPlus(`,"note":1,"note":[{"a":1,"a":2}]`), nil},
		"a known one twice inside":     {legacyWith("product", `{"id":"prod_1","title":"a","title":"b"}`), nil},
	} {
		m, odd, err := parseMembership([]byte(c.body), "K")
		if !assert.NoError(t, err, name) {
			continue
		}
		assert.Equal(t, c.odd, odd, name)
		assert.Equal(t, "prod_1", m.product, name)
		assert.Equal(t, "active", m.status, name)
		assert.Equal(t, int64(1), m.quantity, name)
		for _, o := range odd {
			switch o.member {
			case "manage_url":
				assert.Nil(t, m.manageURL, name)
			case "created_at":
				assert.Nil(t, m.createdAt, name)
			case "plan":
				assert.Nil(t, m.plan, name)
			case "renewal_period_start":
				assert.Nil(t, m.periodStart, name)
			}
		}
	}
}

func TestStoredMetadataOfAnyType(t *testing.T) {
	for text, want := range map[string]metadata{
		`null`: nil,
		`{}`:   {},
		`{"a":1.50,"b":{"c":[null]},"d":null,"e":true,"f":""}`: {
			"a": {text: "1.50"}, "b": {text: `{"c":[null]}`}, "d": {text: "null"}, "e": {text: "true"}, "f": {string: true},
		},
	} {
		m, _, err := parseMembership([]byte(legacyWith("metadata", text)), "K")
		require.NoError(t, err, text)
		assert.Equal(t, want, m.metadata)
	}
}

// A lease ends with the period where it can't be seen that it goes on, and at
// once where that can't be seen either.
func TestWhenTheRightToUseEnds(t *testing.T) {
	const end, early = 1767225600, 1764547200
	never, now, then, before := (*int64)(nil), new(int64(ended)), new(int64(end)), new(int64(early))
	for name, c := range map[string]struct {
		body string
		want *int64
		odd  []string
	}{
		"renewing":                              {legacyWith(), never, nil},
		"renewing, the end is unreadable":       {legacyWith("renewal_period_end", `"soon"`), never, []string{"renewal_period_end"}},
		"renewing, no end":                      {legacyWith("renewal_period_end", ``), never, nil},
		"canceled at its end":                   {legacyWith("cancel_at_period_end", `true`), then, nil},
		"canceling":                             {legacyWith("status", `"canceling"`), then, nil},
		"canceling, the end is null":            {legacyWith("status", `"canceling"`, "renewal_period_end", `null`), now, nil},
		"canceling, the end is absent":          {legacyWith("cancel_at_period_end", `true`, "renewal_period_end", ``), now, nil},
		"canceling, the end is unreadable":      {legacyWith("cancel_at_period_end", `true`, "renewal_period_end", `{}`), now, []string{"renewal_period_end"}},
		"canceling, the end has no zone":        {legacyWith("cancel_at_period_end", `true`, "renewal_period_end", `"2026-01-01T00:00:00"`), now, []string{"renewal_period_end"}},
		"canceling, two ends":                   {legacyWith("cancel_at_period_end", `true`, "current_period_end", `1764547200`), before, nil},
		"canceling, one of two is unreadable":   {legacyWith("cancel_at_period_end", `true`, "current_period_end", `[]`), then, []string{"current_period_end"}},
		"not known whether":                     {legacyWith("cancel_at_period_end", ``), then, []string{"cancel_at_period_end"}},
		"null whether":                          {legacyWith("cancel_at_period_end", `null`), then, []string{"cancel_at_period_end"}},
		"unreadable whether":                    {legacyWith("cancel_at_period_end", `"no"`), then, []string{"cancel_at_period_end"}},
		"neither is there":                      {legacyWith("cancel_at_period_end", ``, "renewal_period_end", ``), now, []string{"cancel_at_period_end"}},
		"neither is readable":                   {legacyWith("cancel_at_period_end", `0`, "renewal_period_end", `""`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"unreadable beside null":                {legacyWith("cancel_at_period_end", `0`, "renewal_period_end", `""`, "current_period_end", `null`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"not known whether, there is no period": {legacyWith("cancel_at_period_end", ``, "renewal_period_end", `null`), never, []string{"cancel_at_period_end"}},
		"an expiry":                             {legacyWith("expires_at", `1764547200`), before, nil},
		"no expiry":                             {legacyWith("expires_at", `null`), never, nil},
		"an unreadable expiry":                  {legacyWith("expires_at", `false`), then, []string{"expires_at"}},
		"an unreadable expiry, no period":       {legacyWith("expires_at", `false`, "renewal_period_end", `null`), now, []string{"expires_at"}},
	} {
		m, odd, err := parseMembership([]byte(c.body), "K")
		require.NoError(t, err, name)
		assert.Equal(t, c.want, m.end(), name)
		var names []string
		for _, o := range odd {
			names = append(names, o.member)
		}
		assert.Equal(t, c.odd, names, name)
	}
}

func FuzzParseMembership(f *testing.F) {
	for _, body := range shapes {
		f.Add([]byte(body), "K")
		f.Add([]byte(body), "mem_1")
	}
	f.Add([]byte(`{"id":"mem_1","status":"active","license_key":null,"metadata":null,"product":"p","created_at":-1}`), "K")
	f.Add([]byte(legacyPlus(`,"note":"\ud800","note":1,"plan":{"id":"a","id":"b"},"expires_at":false`)), "K")
	f.Fuzz(func(t *testing.T, body []byte, asked string) {
		m, odd, err := parseMembership(body, asked)
		if err != nil {
			assert.Nil(t, m)
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.Regexp(t, `^mem_[A-Za-z0-9_-]+$`, m.id)
		assert.Regexp(t, `^[A-Za-z0-9_-]+$`, m.product)
		assert.NotEmpty(t, m.status)
		var back metadata
		require.NoError(t, jsonv2.Unmarshal(m.metadata.canonical(), &back))
		assert.Len(t, back, len(m.metadata))
		for name, v := range m.metadata {
			assert.Equal(t, v, back[name], "it can be written back")
		}
		assert.LessOrEqual(t, len(odd), len(memberNames))
		if end := m.end(); end != nil {
			assert.GreaterOrEqual(t, *end, int64(ended))
		}
	})
}
