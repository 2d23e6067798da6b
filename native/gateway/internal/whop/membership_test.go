package whop

import (
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func TestParseMembershipInEveryShape(t *testing.T) {
	for version, body := range gatewaytest.Shapes {
		for _, asked := range []string{"K", "k", "mem_1"} {
			m, skipped, err := parseMembership([]byte(body), asked)
			require.NoError(t, err, version)
			assert.Empty(t, skipped, version)
			url := m.ManageURL
			m.ManageURL = nil
			assert.Equal(t, &check.Membership{
				ID: "mem_1", Product: "prod_1", Plan: new("plan_1"), Status: "active", Quantity: 1,
				Metadata:  binding.Metadata{"HWID": {Text: "a", IsString: true}},
				CreatedAt: new(int64(1735689600)), PeriodStart: new(int64(1764547200)), PeriodEnd: new(int64(1767225600)),
			}, m, version)
			assert.Equal(t, version == "2025-01-01", url != nil, version)
		}
	}
}

func TestParseMembershipRefuses(t *testing.T) {
	_, _, err := parseMembership([]byte(gatewaytest.LegacyWith()), "K")
	require.NoError(t, err)
	for name, c := range map[string]struct{ body, says string }{
		"nothing":                    {``, "not a JSON object"},
		"null":                       {`null`, "not a JSON object"},
		"a list":                     {`[` + gatewaytest.Legacy + `]`, "not a JSON object"},
		"two of them":                {gatewaytest.Legacy + gatewaytest.Legacy, "more than one JSON object"},
		"cut off":                    {gatewaytest.Legacy[:len(gatewaytest.Legacy)-1], "not JSON"},
		"no id":                      {gatewaytest.LegacyWith("id", ``), "id is absent"},
		"a short id":                 {gatewaytest.LegacyWith("id", `"mem_"`), "not a membership's"},
		"an id as a path":            {gatewaytest.LegacyWith("id", `"mem_../x"`), "not a membership's"},
		"a long id":                  {gatewaytest.LegacyWith("id", `"mem_`+strings.Repeat("x", 100)+`"`), "not a membership's"},
		"another kind of id":         {gatewaytest.LegacyWith("id", `"user_1"`), "not a membership's"},
		"an id in a list":            {gatewaytest.LegacyWith("id", `["mem_1"]`), "id is array"},
		"no status":                  {gatewaytest.LegacyWith("status", ``), "status is absent"},
		"null status":                {gatewaytest.LegacyWith("status", `null`), "status is null"},
		"an empty status":            {gatewaytest.LegacyWith("status", `""`), "status is string"},
		"a status number":            {gatewaytest.LegacyWith("status", `1`), "status is number"},
		"a status object":            {gatewaytest.LegacyWith("status", `{"id":"active"}`), "status is object"},
		"status twice":               {gatewaytest.LegacyPlus(`,"status":"active"`), "status is given twice"},
		"status twice, escaped":      {gatewaytest.LegacyPlus(`,"\u0073tatus":"active"`), "status is given twice"},
		"no product":                 {gatewaytest.LegacyWith("product", ``), "neither the member product nor product_id"},
		"a null product":             {gatewaytest.LegacyWith("product", `null`), "neither the member product nor product_id"},
		"a product without id":       {gatewaytest.LegacyWith("product", `{"title":"T"}`), "neither the member product nor product_id"},
		"a product list":             {gatewaytest.LegacyWith("product", `["prod_1"]`), "product is array"},
		"a product number":           {gatewaytest.LegacyWith("product", `1`), "product is number"},
		"a product with two ids":     {gatewaytest.LegacyWith("product", `{"id":"prod_1","id":"prod_2"}`), "neither the member product nor product_id"},
		"products that differ":       {gatewaytest.LegacyWith("product_id", `"prod_2"`), "differ"},
		"an skipped product id":      {gatewaytest.LegacyWith("product_id", `1`), "product_id is number"},
		"product twice":              {gatewaytest.LegacyPlus(`,"product":"prod_1"`), "product is given twice"},
		"no metadata":                {gatewaytest.LegacyWith("metadata", ``), "metadata is absent"},
		"metadata a list":            {gatewaytest.LegacyWith("metadata", `[]`), "metadata is array"},
		"metadata a string":          {gatewaytest.LegacyWith("metadata", `"x"`), "metadata is string"},
		"metadata false":             {gatewaytest.LegacyWith("metadata", `false`), "metadata is boolean"},
		"metadata twice":             {gatewaytest.LegacyPlus(`,"metadata":null`), "metadata is given twice"},
		"a name in metadata twice":   {gatewaytest.LegacyWith("metadata", `{"H":"a","H":"b"}`), "a name twice"},
		"a lone surrogate in a name": {gatewaytest.LegacyWith("metadata", `{"H\ud800":"a"}`), "not Unicode"},
		"a lone surrogate in it":     {gatewaytest.LegacyWith("metadata", `{"H":"\ud800"}`), "not Unicode"},
		"no license key":             {gatewaytest.LegacyWith("license_key", ``), "license_key is absent"},
		"a license key list":         {gatewaytest.LegacyWith("license_key", `["K"]`), "license_key is array"},
		"a license key number":       {gatewaytest.LegacyWith("license_key", `1`), "license_key is number"},
		"license key twice":          {gatewaytest.LegacyPlus(`,"license_key":"K"`), "license_key is given twice"},
		"another license":            {gatewaytest.LegacyWith("license_key", `"OTHER"`), "another membership"},
		"a cancellation twice":       {gatewaytest.LegacyPlus(`,"cancel_at_period_end":true`), "cancel_at_period_end is given twice"},
		"a period's end twice":       {gatewaytest.LegacyPlus(`,"renewal_period_end":null`), "renewal_period_end is given twice"},
		"names in capitals":          {`{"ID":"mem_1","STATUS":"active","PRODUCT_ID":"p","LICENSE_KEY":null,"METADATA":null}`, "id is absent"},
	} {
		m, _, err := parseMembership([]byte(c.body), "K")
		assert.ErrorContains(t, err, c.says, name)
		assert.Nil(t, m, name)
	}
	_, _, err = parseMembership([]byte(gatewaytest.Legacy), "mem_2")
	assert.ErrorContains(t, err, "another membership", "asked for another id")
}

// A member that decides nothing never stops a license.
func TestDisplayedMembersAreReadLeniently(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		skipped []skippedMember
	}{
		"a link as an object":          {gatewaytest.LegacyWith("manage_url", `{"href":"x"}`), []skippedMember{{"manage_url", "object"}}},
		"a link with half a character": {gatewaytest.LegacyWith("manage_url", `"\ud800"`), []skippedMember{{"manage_url", "string"}}},
		"a quantity in text":           {gatewaytest.LegacyWith("quantity", `"1"`), []skippedMember{{"quantity", "string"}}},
		"a quantity in parts":          {gatewaytest.LegacyWith("quantity", `1.5`), []skippedMember{{"quantity", "number"}}},
		"a time without a zone":        {gatewaytest.LegacyWith("created_at", `"2025-01-01T00:00:00"`), []skippedMember{{"created_at", "string"}}},
		"an empty time":                {gatewaytest.LegacyWith("created_at", `""`), []skippedMember{{"created_at", "string"}}},
		"a time too great":             {gatewaytest.LegacyWith("created_at", `1e300`), []skippedMember{{"created_at", "number"}}},
		"a time before all":            {gatewaytest.LegacyWith("created_at", `-1`), []skippedMember{{"created_at", "number"}}},
		"a start that is none":         {gatewaytest.LegacyWith("renewal_period_start", `{}`), []skippedMember{{"renewal_period_start", "object"}}},
		"a plan as a list":             {gatewaytest.LegacyWith("plan", `["plan_1"]`), []skippedMember{{"plan", "array"}}},
		"a plan without id":            {gatewaytest.LegacyWith("plan", `{}`), []skippedMember{{"plan", "object"}}},
		"a plan twice":                 {gatewaytest.LegacyPlus(`,"plan":"plan_2"`), []skippedMember{{"plan", "given twice"}}},
		"a link twice":                 {gatewaytest.LegacyPlus(`,"manage_url":"x"`), []skippedMember{{"manage_url", "given twice"}}},
		"a lone surrogate in a name":   {gatewaytest.LegacyPlus(`,"user":{"name":"\ud800"}`), nil},
		"one in a member's name":       {gatewaytest.LegacyPlus(`,"\udc00":1`), nil},
		"bytes that are no text":       {gatewaytest.LegacyPlus(",\"note\":\"\xff\""), nil},
		"an unknown member twice":      {gatewaytest.LegacyPlus(`,"note":1,"note":[{"a":1,"a":2}]`), nil},
		"a known one twice inside":     {gatewaytest.LegacyWith("product", `{"id":"prod_1","title":"a","title":"b"}`), nil},
	} {
		m, skipped, err := parseMembership([]byte(c.body), "K")
		if !assert.NoError(t, err, name) {
			continue
		}
		assert.Equal(t, c.skipped, skipped, name)
		assert.Equal(t, "prod_1", m.Product, name)
		assert.Equal(t, "active", m.Status, name)
		assert.Equal(t, int64(1), m.Quantity, name)
		for _, o := range skipped {
			switch o.member {
			case "manage_url":
				assert.Nil(t, m.ManageURL, name)
			case "created_at":
				assert.Nil(t, m.CreatedAt, name)
			case "plan":
				assert.Nil(t, m.Plan, name)
			case "renewal_period_start":
				assert.Nil(t, m.PeriodStart, name)
			}
		}
	}
}

func TestStoredMetadataOfAnyType(t *testing.T) {
	for text, want := range map[string]binding.Metadata{
		`null`: nil,
		`{}`:   {},
		`{"a":1.50,"b":{"c":[null]},"d":null,"e":true,"f":""}`: {
			"a": {Text: "1.50"}, "b": {Text: `{"c":[null]}`}, "d": {Text: "null"}, "e": {Text: "true"}, "f": {IsString: true},
		},
	} {
		m, _, err := parseMembership([]byte(gatewaytest.LegacyWith("metadata", text)), "K")
		require.NoError(t, err, text)
		assert.Equal(t, want, m.Metadata)
	}
}

// A lease ends with the period if a renewal is not certain, and at once if the
// period's end is not known either.
func TestWhenALicenseEnds(t *testing.T) {
	const end, early = 1767225600, 1764547200
	never, now, then, before := (*int64)(nil), new(int64(ended)), new(int64(end)), new(int64(early))
	for name, c := range map[string]struct {
		body    string
		want    *int64
		skipped []string
	}{
		"renewing":                              {gatewaytest.LegacyWith(), never, nil},
		"renewing, the end is unreadable":       {gatewaytest.LegacyWith("renewal_period_end", `"soon"`), never, []string{"renewal_period_end"}},
		"renewing, no end":                      {gatewaytest.LegacyWith("renewal_period_end", ``), never, nil},
		"canceled at its end":                   {gatewaytest.LegacyWith("cancel_at_period_end", `true`), then, nil},
		"canceling":                             {gatewaytest.LegacyWith("status", `"canceling"`), then, nil},
		"canceling, the end is null":            {gatewaytest.LegacyWith("status", `"canceling"`, "renewal_period_end", `null`), now, nil},
		"canceling, the end is absent":          {gatewaytest.LegacyWith("cancel_at_period_end", `true`, "renewal_period_end", ``), now, nil},
		"canceling, the end is unreadable":      {gatewaytest.LegacyWith("cancel_at_period_end", `true`, "renewal_period_end", `{}`), now, []string{"renewal_period_end"}},
		"canceling, the end has no zone":        {gatewaytest.LegacyWith("cancel_at_period_end", `true`, "renewal_period_end", `"2026-01-01T00:00:00"`), now, []string{"renewal_period_end"}},
		"canceling, two ends":                   {gatewaytest.LegacyWith("cancel_at_period_end", `true`, "current_period_end", `1764547200`), before, nil},
		"canceling, one of two is unreadable":   {gatewaytest.LegacyWith("cancel_at_period_end", `true`, "current_period_end", `[]`), then, []string{"current_period_end"}},
		"not known whether":                     {gatewaytest.LegacyWith("cancel_at_period_end", ``), then, []string{"cancel_at_period_end"}},
		"null whether":                          {gatewaytest.LegacyWith("cancel_at_period_end", `null`), then, []string{"cancel_at_period_end"}},
		"unreadable whether":                    {gatewaytest.LegacyWith("cancel_at_period_end", `"no"`), then, []string{"cancel_at_period_end"}},
		"neither is there":                      {gatewaytest.LegacyWith("cancel_at_period_end", ``, "renewal_period_end", ``), now, []string{"cancel_at_period_end"}},
		"neither is readable":                   {gatewaytest.LegacyWith("cancel_at_period_end", `0`, "renewal_period_end", `""`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"unreadable beside null":                {gatewaytest.LegacyWith("cancel_at_period_end", `0`, "renewal_period_end", `""`, "current_period_end", `null`), now, []string{"cancel_at_period_end", "renewal_period_end"}},
		"not known whether, there is no period": {gatewaytest.LegacyWith("cancel_at_period_end", ``, "renewal_period_end", `null`), never, []string{"cancel_at_period_end"}},
		"completed, with an end":                {gatewaytest.LegacyWith("status", `"completed"`), then, nil},
		"completed, for good":                   {gatewaytest.LegacyWith("status", `"completed"`, "renewal_period_end", `null`), never, nil},
		"completed, the end is unreadable":      {gatewaytest.LegacyWith("status", `"completed"`, "renewal_period_end", `"soon"`), now, []string{"renewal_period_end"}},
		"completed, the end is absent":          {gatewaytest.LegacyWith("status", `"completed"`, "renewal_period_end", ``), now, nil},
		"an expiry":                             {gatewaytest.LegacyWith("expires_at", `1764547200`), before, nil},
		"an expiry counts before periods":       {gatewaytest.LegacyWith("expires_at", `1764547200`, "cancel_at_period_end", `true`), before, nil},
		"no expiry":                             {gatewaytest.LegacyWith("expires_at", `null`), never, nil},
		"an unreadable expiry":                  {gatewaytest.LegacyWith("expires_at", `false`), then, []string{"expires_at"}},
		"an unreadable expiry, no period":       {gatewaytest.LegacyWith("expires_at", `false`, "renewal_period_end", `null`), now, []string{"expires_at"}},
	} {
		m, skipped, err := parseMembership([]byte(c.body), "K")
		require.NoError(t, err, name)
		assert.Equal(t, c.want, m.EndsAt, name)
		var names []string
		for _, o := range skipped {
			names = append(names, o.member)
		}
		assert.Equal(t, c.skipped, names, name)
	}
}

func FuzzParseMembership(f *testing.F) {
	for _, body := range gatewaytest.Shapes {
		f.Add([]byte(body), "K")
		f.Add([]byte(body), "mem_1")
	}
	f.Add([]byte(`{"id":"mem_1","status":"active","license_key":null,"metadata":null,"product":"p","created_at":-1}`), "K")
	f.Add([]byte(gatewaytest.LegacyPlus(`,"note":"\ud800","note":1,"plan":{"id":"a","id":"b"},"expires_at":false`)), "K")
	f.Fuzz(func(t *testing.T, body []byte, asked string) {
		m, skipped, err := parseMembership(body, asked)
		if err != nil {
			assert.Nil(t, m)
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.Regexp(t, `^mem_[A-Za-z0-9_-]+$`, m.ID)
		assert.Regexp(t, `^[A-Za-z0-9_-]+$`, m.Product)
		assert.NotEmpty(t, m.Status)
		var back binding.Metadata
		require.NoError(t, jsonv2.Unmarshal(m.Metadata.Canonical(), &back))
		assert.Len(t, back, len(m.Metadata))
		for name, v := range m.Metadata {
			assert.Equal(t, v, back[name], "it can be written back")
		}
		assert.LessOrEqual(t, len(skipped), len(memberNames))
		if end := m.EndsAt; end != nil {
			assert.GreaterOrEqual(t, *end, int64(ended))
		}
	})
}
