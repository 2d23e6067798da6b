package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

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

// with returns the legacy shape with some members set, or left out where the
// value is empty.
func with(members ...string) string {
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

// more returns the legacy shape with more text at the end of the object.
func more(text string) string { return strings.TrimSuffix(legacy, "}") + text + "}" }

func TestParseMembershipRefuses(t *testing.T) {
	_, _, err := parseMembership([]byte(with()), "K")
	require.NoError(t, err)
	for name, c := range map[string]struct{ body, says string }{
		"nothing":                    {``, "not an object"},
		"null":                       {`null`, "not an object"},
		"a list":                     {`[` + legacy + `]`, "not an object"},
		"two of them":                {legacy + legacy, "more than an object"},
		"cut off":                    {legacy[:len(legacy)-1], "not JSON"},
		"no id":                      {with("id", ``), "id is absent"},
		"a short id":                 {with("id", `"mem_"`), "not a membership's"},
		"an id as a path":            {with("id", `"mem_../x"`), "not a membership's"},
		"a long id":                  {with("id", `"mem_`+strings.Repeat("x", 100)+`"`), "not a membership's"},
		"another kind of id":         {with("id", `"user_1"`), "not a membership's"},
		"an id in a list":            {with("id", `["mem_1"]`), "id is array"},
		"no status":                  {with("status", ``), "status is absent"},
		"null status":                {with("status", `null`), "status is null"},
		"an empty status":            {with("status", `""`), "status is string"},
		"a status number":            {with("status", `1`), "status is number"},
		"a status object":            {with("status", `{"id":"active"}`), "status is object"},
		"status twice":               {more(`,"status":"active"`), "status is given twice"},
		"status twice, escaped":      {more(`,"\u0073tatus":"active"`), "status is given twice"},
		"no product":                 {with("product", ``), "neither the member product nor product_id"},
		"a null product":             {with("product", `null`), "neither the member product nor product_id"},
		"a product without id":       {with("product", `{"title":"T"}`), "neither the member product nor product_id"},
		"a product list":             {with("product", `["prod_1"]`), "product is array"},
		"a product number":           {with("product", `1`), "product is number"},
		"a product with two ids":     {with("product", `{"id":"prod_1","id":"prod_2"}`), "neither the member product nor product_id"},
		"products that differ":       {with("product_id", `"prod_2"`), "differ"},
		"an odd product id":          {with("product_id", `1`), "product_id is number"},
		"product twice":              {more(`,"product":"prod_1"`), "product is given twice"},
		"no metadata":                {with("metadata", ``), "metadata is absent"},
		"metadata a list":            {with("metadata", `[]`), "metadata is array"},
		"metadata a string":          {with("metadata", `"x"`), "metadata is string"},
		"metadata false":             {with("metadata", `false`), "metadata is boolean"},
		"metadata twice":             {more(`,"metadata":null`), "metadata is given twice"},
		"a name in metadata twice":   {with("metadata", `{"H":"a","H":"b"}`), "a name twice"},
		"a lone surrogate in a name": {with("metadata", `{"H\ud800":"a"}`), "not Unicode"},
		"a lone surrogate in it":     {with("metadata", `{"H":"\ud800"}`), "not Unicode"},
		"no license key":             {with("license_key", ``), "license_key is absent"},
		"a license key list":         {with("license_key", `["K"]`), "license_key is array"},
		"a license key number":       {with("license_key", `1`), "license_key is number"},
		"license key twice":          {more(`,"license_key":"K"`), "license_key is given twice"},
		"another license":            {with("license_key", `"OTHER"`), "another membership"},
		"a cancellation twice":       {more(`,"cancel_at_period_end":true`), "cancel_at_period_end is given twice"},
		"a period's end twice":       {more(`,"renewal_period_end":null`), "renewal_period_end is given twice"},
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
		"a link as an object":          {with("manage_url", `{"href":"x"}`), []oddity{{"manage_url", "object"}}},
		"a link with half a character": {with("manage_url", `"\ud800"`), []oddity{{"manage_url", "string"}}},
		"a quantity in text":           {with("quantity", `"1"`), []oddity{{"quantity", "string"}}},
		"a quantity in parts":          {with("quantity", `1.5`), []oddity{{"quantity", "number"}}},
		"a time without a zone":        {with("created_at", `"2025-01-01T00:00:00"`), []oddity{{"created_at", "string"}}},
		"an empty time":                {with("created_at", `""`), []oddity{{"created_at", "string"}}},
		"a time too great":             {with("created_at", `1e300`), []oddity{{"created_at", "number"}}},
		"a time before all":            {with("created_at", `-1`), []oddity{{"created_at", "number"}}},
		"a start that is none":         {with("renewal_period_start", `{}`), []oddity{{"renewal_period_start", "object"}}},
		"a plan as a list":             {with("plan", `["plan_1"]`), []oddity{{"plan", "array"}}},
		"a plan without id":            {with("plan", `{}`), []oddity{{"plan", "object"}}},
		"a plan twice":                 {more(`,"plan":"plan_2"`), []oddity{{"plan", "given twice"}}},
		"a link twice":                 {more(`,"manage_url":"x"`), []oddity{{"manage_url", "given twice"}}},
		"a lone surrogate in a name":   {more(`,"user":{"name":"\ud800"}`), nil},
		"one in a member's name":       {more(`,"\udc00":1`), nil},
		"bytes that are no text":       {more(",\"note\":\"\xff\""), nil},
		"an unknown member twice":      {more(`,"note":1,"note":[{"a":1,"a":2}]`), nil},
		"a known one twice inside":     {with("product", `{"id":"prod_1","title":"a","title":"b"}`), nil},
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
		m, _, err := parseMembership([]byte(with("metadata", text)), "K")
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
		"renewing":                              {with(), never, nil},
		"renewing, the end is unreadable":       {with("renewal_period_end", `"soon"`), never, []string{"renewal_period_end"}},
		"renewing, no end":                      {with("renewal_period_end", ``), never, nil},
		"canceled at its end":                   {with("cancel_at_period_end", `true`), then, nil},
		"canceling":                             {with("status", `"canceling"`), then, nil},
		"canceling, the end is null":            {with("status", `"canceling"`, "renewal_period_end", `null`), now, nil},
		"canceling, the end is absent":          {with("cancel_at_period_end", `true`, "renewal_period_end", ``), now, nil},
		"canceling, the end is unreadable":      {with("cancel_at_period_end", `true`, "renewal_period_end", `{}`), now, []string{"renewal_period_end"}},
		"canceling, the end has no zone":        {with("cancel_at_period_end", `true`, "renewal_period_end", `"2026-01-01T00:00:00"`), now, []string{"renewal_period_end"}},
		"canceling, two ends":                   {with("cancel_at_period_end", `true`, "current_period_end", `1764547200`), before, nil},
		"canceling, one of two is unreadable":   {with("cancel_at_period_end", `true`, "current_period_end", `[]`), then, []string{"current_period_end"}},
		"not known whether":                     {with("cancel_at_period_end", ``), then, []string{"cancel_at_period_end"}},
		"null whether":                          {with("cancel_at_period_end", `null`), then, []string{"cancel_at_period_end"}},
		"unreadable whether":                    {with("cancel_at_period_end", `"no"`), then, []string{"cancel_at_period_end"}},
		"neither is there":                      {with("cancel_at_period_end", ``, "renewal_period_end", ``), now, []string{"cancel_at_period_end"}},
		"neither is readable":                   {with("cancel_at_period_end", `0`, "renewal_period_end", `""`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"unreadable beside null":                {with("cancel_at_period_end", `0`, "renewal_period_end", `""`, "current_period_end", `null`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"not known whether, there is no period": {with("cancel_at_period_end", ``, "renewal_period_end", `null`), never, []string{"cancel_at_period_end"}},
		"an expiry":                             {with("expires_at", `1764547200`), before, nil},
		"no expiry":                             {with("expires_at", `null`), never, nil},
		"an unreadable expiry":                  {with("expires_at", `false`), then, []string{"expires_at"}},
		"an unreadable expiry, no period":       {with("expires_at", `false`, "renewal_period_end", `null`), now, []string{"expires_at"}},
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
	f.Add([]byte(more(`,"note":"\ud800","note":1,"plan":{"id":"a","id":"b"},"expires_at":false`)), "K")
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
		require.NoError(t, json.Unmarshal(m.metadata.canonical(), &map[string]any{}), "it can be written back")
		assert.LessOrEqual(t, len(odd), len(memberNames))
		if end := m.end(); end != nil {
			assert.GreaterOrEqual(t, *end, int64(ended))
		}
	})
}
