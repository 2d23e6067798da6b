package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const unpinned = `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":{"id":"prod_1","title":"T"},"plan":{"id":"plan_1"},"company":{"id":"biz_1","title":"B"},"user":{"id":"user_1","username":"u","name":"n","email":"e"},"manage_url":"https://whop.com/m","cancel_at_period_end":false,"created_at":"2025-01-01T00:00:00Z","renewal_period_end":null}`
const pinned = `{"id":"mem_1","status":"active","license_key":null,"metadata":null,"product_id":"prod_1","plan_id":"plan_1","account":{"id":"biz_1"},"created_at":"2025-01-01T02:00:00.5+02:00","current_period_start":1735689600,"current_period_end":"2026-01-01T00:00:00Z"}`

func TestParseMembership(t *testing.T) {
	m, err := parseMembership([]byte(unpinned), "K")
	require.NoError(t, err)
	assert.Equal(t, "mem_1", m.id)
	assert.Equal(t, "prod_1", m.product)
	assert.Equal(t, "plan_1", *m.plan)
	assert.Equal(t, int64(1735689600), *m.createdAt)
	assert.Nil(t, m.periodEnd)
	assert.Equal(t, metadata{"HWID": {text: "a", string: true}}, m.metadata)

	m, err = parseMembership([]byte(pinned), "K")
	require.NoError(t, err)
	assert.Equal(t, "prod_1", m.product)
	assert.Equal(t, "plan_1", *m.plan)
	assert.Equal(t, int64(1735689600), *m.createdAt)
	assert.Equal(t, int64(1735689600), *m.periodStart)
	assert.Equal(t, int64(1767225600), *m.periodEnd)
	assert.Empty(t, m.metadata)
}

func TestParseMembershipRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":            ``,
		"null":               `null`,
		"a list":             `[` + unpinned + `]`,
		"two of them":        unpinned + unpinned,
		"no id":              `{"status":"active","product_id":"p"}`,
		"a short id":         `{"id":"mem_","status":"active","product_id":"p"}`,
		"an id as a path":    `{"id":"mem_../x","status":"active","product_id":"p"}`,
		"another kind of id": `{"id":"user_1","status":"active","product_id":"p"}`,
		"no status":          `{"id":"mem_1","product_id":"p"}`,
		"null status":        `{"id":"mem_1","status":null,"product_id":"p"}`,
		"a status number":    `{"id":"mem_1","status":1,"product_id":"p"}`,
		"no product":         `{"id":"mem_1","status":"active"}`,
		"a product list":     `{"id":"mem_1","status":"active","product":["p"]}`,
		"metadata a list":    `{"id":"mem_1","status":"active","product_id":"p","metadata":[]}`,
		"metadata a string":  `{"id":"mem_1","status":"active","product_id":"p","metadata":"x"}`,
		"status twice":       `{"id":"mem_1","status":"canceled","status":"active","product_id":"p"}`,
		"metadata twice":     `{"id":"mem_1","status":"active","product_id":"p","metadata":{"H":"a","H":"b"}}`,
		"an unreadable time": `{"id":"mem_1","status":"active","product_id":"p","created_at":"yesterday"}`,
		"a time too great":   `{"id":"mem_1","status":"active","product_id":"p","created_at":1e300}`,
		"another license":    `{"id":"mem_1","status":"active","product_id":"p","license_key":"OTHER"}`,
		"names in capitals":  `{"ID":"mem_1","STATUS":"active","PRODUCT_ID":"p"}`,
	} {
		_, err := parseMembership([]byte(body), "K")
		assert.Error(t, err, name)
	}
	_, err := parseMembership([]byte(unpinned), "mem_2")
	assert.Error(t, err, "asked for another id")
	_, err = parseMembership([]byte(unpinned), "k")
	assert.NoError(t, err, "Whop may not care for a key's case")
}

func FuzzParseMembership(f *testing.F) {
	f.Add([]byte(unpinned))
	f.Add([]byte(pinned))
	f.Add([]byte(`{"id":"mem_1","status":"active","product":"p","created_at":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := parseMembership(body, "K")
		if err != nil {
			return
		}
		assert.Regexp(t, `^mem_[A-Za-z0-9_-]+$`, m.id)
		assert.NotEmpty(t, m.product)
		assert.NotEmpty(t, m.status)
		_ = m.metadata.canonical()
	})
}
