package whop

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// What Whop's error answers mean, and whether a write with that answer may
// still be carried out.
func TestReadFailure(t *testing.T) {
	for name, c := range map[string]struct {
		code    int
		body    string
		want    Kind // empty: there is no such membership
		pending bool
	}{
		"an unknown license, as v2":       {404, `{"error":{"status":404,"message":"No such Membership found with the provided ID: ABC"}}`, "", false},
		"an unknown license, plain":       {404, `{"error":"Membership not found"}`, "", false},
		"an unknown license, by message":  {404, `{"message":"No license has this key"}`, "", false},
		"an unknown license, by type":     {404, `{"error":{"type":"membership_not_found"}}`, "", false},
		"an unknown license, by code":     {404, `{"error":{"type":"not_found","code":"membership_missing","message":"Not found"}}`, "", false},
		"a key that is a word":            {404, `{"error":"Membership not found: endpoint"}`, "", false},
		"a missing route":                 {404, `{"error":{"type":"not_found","message":"No such route: GET /api/v1/memberships/ABC"}}`, otherNotFound, false},
		"a route that a version lacks":    {404, `{"error":"The memberships route does not exist in this version"}`, otherNotFound, false},
		"a framework's 404":               {404, `{"status":404,"error":"Not Found"}`, otherNotFound, false},
		"a platform's 404":                {404, `{"status":"error","code":404,"message":"Application not found","request_id":"x"}`, otherNotFound, false},
		"a path that names licenses":      {404, `{"message":"Cannot GET /licenses/memberships/ABC"}`, otherNotFound, false},
		"a proxy's 404":                   {404, gatewaytest.BlockPage, badAnswer, true},
		"an empty 404":                    {404, ``, badAnswer, true},
		"a 404 without an error":          {404, `{"detail":"membership"}`, badAnswer, true},
		"an error twice":                  {404, `{"error":"Membership not found","error":"x"}`, badAnswer, true},
		"odd text beside it":              {404, `{"error":"Membership not found","x":"\ud800","y":1,"y":2}`, "", false},
		"a null error":                    {404, `{"error":null,"message":null}`, badAnswer, true},
		"a wrong API key":                 {401, `{"error":{"message":"The API key is not valid"}}`, unauthorized, false},
		"a wrong API key, said by status": {401, ``, unauthorized, false},
		"a portal's 401":                  {401, gatewaytest.BlockPage, badAnswer, true},
		"no permission":                   {403, `{"error":{"message":"The API key lacks a permission"}}`, forbidden, false},
		"a firewall's 403":                {403, gatewaytest.BlockPage, badAnswer, true},
		"a malformed id":                  {400, `{"error":{"message":"id is malformed"}}`, badRequest, false},
		"a malformed id with a version":   {400, `{"error":{"message":"not an id: version-2025-01-01"}}`, badRequest, false},
		"unprocessable":                   {422, `{"error":{"message":"metadata is too long"}}`, badRequest, false},
		"a proxy's 400":                   {400, gatewaytest.BlockPage, badAnswer, true},
		"an unknown version":              {400, `{"error":{"message":"Unknown API version 2031-01-01. Supported: 2025-01-01"}}`, badVersion, false},
		"too many":                        {429, gatewaytest.BlockPage, rateLimited, false},
		"an expired request":              {408, ``, unanswered, true},
		"Whop's 500":                      {500, `{"error":{"message":"x"}}`, failing, false},
		"Whop's 503":                      {503, `{"message":"x"}`, failing, false},
		"a proxy's 500":                   {500, gatewaytest.BlockPage, unanswered, true},
		"a proxy's 503":                   {503, gatewaytest.BlockPage, unanswered, true},
		"an empty 503":                    {503, ``, unanswered, true},
		"a gateway's 502":                 {502, `{"error":"x"}`, unanswered, true},
		"a gateway's 504":                 {504, `{"error":"x"}`, unanswered, true},
		"Cloudflare's 520":                {520, `{"error":"x"}`, unanswered, true},
		"a redirect":                      {302, ``, badAnswer, true},
	} {
		err := readFailure(c.code, "", []byte(c.body), "ABC", "version-2025-01-01", "endpoint")
		if c.want == "" {
			assert.Equal(t, check.ErrUnknown, err, name)
			continue
		}
		var up *Failure
		if assert.ErrorAs(t, err, &up, name) {
			assert.Equal(t, c.want, up.Kind, name)
			assert.Equal(t, c.pending, up.MayBeCarriedOut(), name)
		}
	}
}

func TestVersionsThatWhopLists(t *testing.T) {
	for _, body := range []string{
		`{"error":{"type":"invalid_version","message":"Api-Version-Date is not supported","supported":["2025-01-01","2026-08-05-1"]}}`,
		`{"error":{"message":"Unknown version. Use one of 2025-01-01, 2026-08-05-1 (2025-01-01)."}}`,
		`{"message":"Unknown version for KEY-2020-02-02: 2025-01-01, 2026-08-05-1"}`,
	} {
		var up *Failure
		require.ErrorAs(t, readFailure(400, "", []byte(body), "key-2020-02-02"), &up)
		assert.Equal(t, badVersion, up.Kind)
		assert.Equal(t, []string{"2025-01-01", "2026-08-05-1"}, up.versions)
		assert.False(t, up.SellersFault())
	}
	var up *Failure
	require.ErrorAs(t, readFailure(400, "", []byte(`{"message":"version"}`)), &up)
	assert.Equal(t, badVersion, up.Kind)
	require.ErrorAs(t, readFailure(400, "", []byte(`{"message":"versions: `+strings.Repeat("2025-01-01 2025-01-02 ", 1000)+`"}`)), &up)
	assert.Len(t, up.versions, 2)
	assert.LessOrEqual(t, len(up.said), maxSaid+len("…"))
}

// A long message is truncated so that no part of a secret word is left.
func TestLongErrors(t *testing.T) {
	var up *Failure
	body := `{"message":"'` + strings.Repeat("x ", maxErrorText/2-6) + `' KEYMIDDLE-KEYMIDDLE"}`
	require.ErrorAs(t, readFailure(400, "", []byte(body), "KEYMIDDLE-KEYMIDDLE"), &up)
	assert.NotContains(t, up.said, "KEY")
	assert.Empty(t, beginning(strings.Repeat("x", maxErrorText+1)))
}

func TestRetryAfter(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for _, c := range []struct {
		header, body string
		want         time.Duration
	}{
		{"", "", 10 * time.Second},
		{"7", "", 7 * time.Second},
		{"0", "", time.Second},
		{"-1", "", 10 * time.Second},
		{"99999999999999999999", "", 2 * time.Minute}, // as long as any too long time
		{"86400", "", 2 * time.Minute},
		{"soon", "", 10 * time.Second},
		{in(-time.Hour), "", time.Second},
		{in(time.Hour), "", 2 * time.Minute},
		{"", `{"error":{"type":"rate_limit_exceeded","message":"Try again in 12 seconds."}}`, 12 * time.Second},
		{"", `try again in 9999 s`, 2 * time.Minute},
	} {
		assert.Equal(t, c.want, retryAfter(c.header, []byte(c.body)), "%q %q", c.header, c.body)
	}
}

// Whatever Whop says, what is logged of it is bounded and on one line.
func FuzzReadFailure(f *testing.F) {
	f.Add(404, `{"error":{"type":"not_found","message":"No such Membership found with the provided ID: KEY"}}`, "KEY")
	f.Add(400, `{"message":"version 2025-01-01"}`, "2025")
	f.Add(503, gatewaytest.BlockPage, "")
	f.Fuzz(func(t *testing.T, code int, body, key string) {
		err := readFailure(code, "", []byte(body), key)
		var up *Failure
		if !errors.As(err, &up) {
			assert.Equal(t, check.ErrUnknown, err)
			assert.Equal(t, 404, code)
			return
		}
		assert.LessOrEqual(t, len([]rune(up.said)), maxSaid+1)
		assert.NotContains(t, up.said, "\n")
		assert.NotContains(t, up.Error(), "\n")
		assert.LessOrEqual(t, len(up.versions), maxVersions)
	})
}
