package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const blockPage = `<!doctype html><html><body>Access denied</body></html>`

// What Whop's answers mean that are no success, and whether a write that was
// answered so may still be carried out.
func TestReadFailure(t *testing.T) {
	for name, c := range map[string]struct {
		code    int
		body    string
		want    reason // empty: there is no such membership
		pending bool
	}{
		"an unknown license, as v2":       {404, `{"error":{"status":404,"message":"No such Membership found with the provided ID: ABC"}}`, "", false},
		"an unknown license, plain":       {404, `{"error":"Membership not found"}`, "", false},
		"an unknown license, by message":  {404, `{"message":"No license has this key"}`, "", false},
		"an unknown license, by type":     {404, `{"error":{"type":"membership_not_found"}}`, "", false},
		"a key that is a word":            {404, `{"error":"Membership not found: endpoint"}`, "", false},
		"a missing route":                 {404, `{"error":{"type":"not_found","message":"No such route: GET /api/v1/memberships/ABC"}}`, reasonOtherNotFound, false},
		"a route that a version lacks":    {404, `{"error":"The memberships route does not exist in this version"}`, reasonOtherNotFound, false},
		"a framework's 404":               {404, `{"status":404,"error":"Not Found"}`, reasonOtherNotFound, false},
		"a platform's 404":                {404, `{"status":"error","code":404,"message":"Application not found","request_id":"x"}`, reasonOtherNotFound, false},
		"a path that names licenses":      {404, `{"message":"Cannot GET /licenses/memberships/ABC"}`, reasonOtherNotFound, false},
		"a proxy's 404":                   {404, blockPage, reasonBadAnswer, true},
		"an empty 404":                    {404, ``, reasonBadAnswer, true},
		"a 404 without an error":          {404, `{"detail":"membership"}`, reasonBadAnswer, true},
		"an error twice":                  {404, `{"error":"Membership not found","error":"x"}`, reasonBadAnswer, true},
		"odd text beside it":              {404, `{"error":"Membership not found","x":"\ud800","y":1,"y":2}`, "", false},
		"a null error":                    {404, `{"error":null,"message":null}`, reasonBadAnswer, true},
		"a wrong API key":                 {401, `{"error":{"message":"The API key is not valid"}}`, reasonUnauthorized, false},
		"a wrong API key, said by status": {401, ``, reasonUnauthorized, false},
		"a portal's 401":                  {401, blockPage, reasonBadAnswer, true},
		"no permission":                   {403, `{"error":{"message":"The API key lacks a permission"}}`, reasonForbidden, false},
		"a firewall's 403":                {403, blockPage, reasonBadAnswer, true},
		"a malformed id":                  {400, `{"error":{"message":"id is malformed"}}`, reasonBadRequest, false},
		"a malformed id with a version":   {400, `{"error":{"message":"not an id: version-2025-01-01"}}`, reasonBadRequest, false},
		"unprocessable":                   {422, `{"error":{"message":"metadata is too long"}}`, reasonBadRequest, false},
		"a proxy's 400":                   {400, blockPage, reasonBadAnswer, true},
		"an unknown version":              {400, `{"error":{"message":"Unknown API version 2031-01-01. Supported: 2025-01-01"}}`, reasonBadVersion, false},
		"too many":                        {429, blockPage, reasonRateLimited, false},
		"an expired request":              {408, ``, reasonUnanswered, true},
		"Whop's 500":                      {500, `{"error":{"message":"x"}}`, reasonFailing, false},
		"Whop's 503":                      {503, `{"message":"x"}`, reasonFailing, false},
		"a proxy's 500":                   {500, blockPage, reasonUnanswered, true},
		"a proxy's 503":                   {503, blockPage, reasonUnanswered, true},
		"an empty 503":                    {503, ``, reasonUnanswered, true},
		"a gateway's 502":                 {502, `{"error":"x"}`, reasonUnanswered, true},
		"a gateway's 504":                 {504, `{"error":"x"}`, reasonUnanswered, true},
		"Cloudflare's 520":                {520, `{"error":"x"}`, reasonUnanswered, true},
		"a redirect":                      {302, ``, reasonBadAnswer, true},
	} {
		err := readFailure(c.code, "", []byte(c.body), "ABC", "version-2025-01-01", "endpoint")
		if c.want == "" {
			assert.Equal(t, errUnknown, err, name)
			continue
		}
		var up *upstreamError
		if assert.ErrorAs(t, err, &up, name) {
			assert.Equal(t, c.want, up.reason, name)
			assert.Equal(t, c.pending, !declined(err), name)
		}
	}
}

// Only what shows that Whop is failing may end in leaving it alone.
func TestKindsOfFailure(t *testing.T) {
	outages := map[reason]bool{reasonTimeout: true, reasonUnreachable: true, reasonUnanswered: true, reasonFailing: true}
	for _, r := range []reason{
		reasonPaused, reasonOverBudget, reasonCircuitOpen, reasonTimeout, reasonUnreachable, reasonUnanswered, reasonFailing,
		reasonRateLimited, reasonBadAnswer, reasonOtherNotFound, reasonUnauthorized, reasonForbidden, reasonBadRequest,
		reasonBadVersion, reasonUnknownStatus, reasonUnknownToWrite, reasonNotStored, reasonAltered,
	} {
		err := unavailable(r, errNotHTTP)
		assert.Equal(t, outages[r], isOutage(err), r)
		assert.Equal(t, outages[r] && r != reasonFailing || r == reasonBadAnswer, !declined(err), r)
	}
	for _, r := range []reason{reasonUnknownStatus, reasonUnknownToWrite, reasonNotStored, reasonAltered} {
		assert.False(t, r.unasked(), r)
	}
	assert.True(t, reasonCircuitOpen.unasked() && reasonBadAnswer.unasked() && reasonUnauthorized.unasked())
	assert.False(t, isOutage(nil))
	assert.False(t, isOutage(errUnknown))
	assert.True(t, declined(circuitError()), "it was not sent")
	assert.False(t, declined(nil), "it was carried out")
}

func TestVersionsThatWhopLists(t *testing.T) {
	for _, body := range []string{
		`{"error":{"type":"invalid_version","message":"Api-Version-Date is not supported","supported":["2025-01-01","2026-08-05-1"]}}`,
		`{"error":{"message":"Unknown version. Use one of 2025-01-01, 2026-08-05-1 (2025-01-01)."}}`,
		`{"message":"Unknown version for KEY-2020-02-02: 2025-01-01, 2026-08-05-1"}`,
	} {
		var up *upstreamError
		require.ErrorAs(t, readFailure(400, "", []byte(body), "key-2020-02-02"), &up)
		assert.Equal(t, reasonBadVersion, up.reason)
		assert.Equal(t, []string{"2025-01-01", "2026-08-05-1"}, up.versions)
		assert.False(t, up.reason.refused())
	}
	var up *upstreamError
	require.ErrorAs(t, readFailure(400, "", []byte(`{"message":"version"}`)), &up)
	assert.Equal(t, reasonBadVersion, up.reason)
	require.ErrorAs(t, readFailure(400, "", []byte(`{"message":"versions: `+strings.Repeat("2025-01-01 2025-01-02 ", 1000)+`"}`)), &up)
	assert.Len(t, up.versions, 2)
	assert.LessOrEqual(t, len(up.said), maxSaid+len("…"))
}

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"The API key lacks the permission member:manage":       "The API key lacks the permission member:manage",
		`missing "member:basic:read"`:                          `missing "member:basic:read"`,
		"not allowed from this IP 192.0.2.7":                   "not allowed from this IP 192.0.2.7",
		"no access to mem_AbC123 of user_x9":                   "no access to mem_… of user_…",
		"sold to jane.doe@example.com, call +1 (555) 123-4567": "sold to [address], call [number]",
		`user "Jane Doe" and “Jane”, 'Jane'`:                   "user […] and […], […]",
		"username: jane":                                       "username: […]",
		"the key a1b2-SECRET-c3 is unknown":                    "the key […] is unknown",
		"two\r\nlines\t\x1b[31mred\u202e":                      "two lines [31mred?",
		"token " + strings.Repeat("x", 40):                     "token […]",
		"Bearer APIKEY":                                        "Bearer […]",
		"can't be done, isn't it":                              "can't be done, isn't it",
		strings.Repeat("ä ", maxSaid):                          strings.Repeat("ä ", maxSaid/2) + "…",
		"invalid \xff":                                         "invalid ?",
		"See https://docs.whop.com/api-reference/getting":      "See https://docs.whop.com/api-reference/getting",
	} {
		got := scrub(text, "A1B2-secret-C3", "apikey", "", " ")
		assert.Equal(t, strings.Join(strings.Fields(want), " "), strings.Join(strings.Fields(got), " "), text)
	}
}

// A long message is cut so that nothing is left of a word that may not be logged.
func TestLongErrors(t *testing.T) {
	var up *upstreamError
	body := `{"message":"'` + strings.Repeat("x ", maxErrorText/2-6) + `' KEYMIDDLE-KEYMIDDLE"}`
	require.ErrorAs(t, readFailure(400, "", []byte(body), "KEYMIDDLE-KEYMIDDLE"), &up)
	assert.NotContains(t, up.said, "KEY")
	assert.Empty(t, beginning(strings.Repeat("x", maxErrorText+1)))
}

// How far a refusal reaches is told by the calls about other licenses.
func TestReach(t *testing.T) {
	refused, through := error(unavailable(reasonForbidden, errNotHTTP)), error(nil)
	at := time.Now()
	type call struct {
		id    byte
		err   error
		after time.Duration
		want  scope
	}
	for name, calls := range map[string][]call{
		"the first":                   {{1, refused, 0, scopeUnknown}, {1, refused, 0, scopeUnknown}},
		"two, and none got through":   {{1, refused, 0, scopeUnknown}, {2, refused, 0, scopeAll}},
		"others got through":          {{1, through, 0, scopeUnknown}, {2, refused, 0, scopeLicense}, {2, refused, 0, scopeLicense}, {3, refused, 0, scopeLicense}, {4, refused, 0, scopeAll}},
		"others are known":            {{1, errUnknown, 0, scopeUnknown}, {2, refused, 0, scopeLicense}},
		"others got through long ago": {{1, through, 0, scopeUnknown}, {2, refused, scopeMemory, scopeUnknown}, {3, refused, 0, scopeAll}},
		"the same got through":        {{1, through, 0, scopeUnknown}, {1, refused, 0, scopeUnknown}},
		"an outage shows nothing":     {{1, unavailable(reasonTimeout, errNotHTTP), 0, scopeUnknown}, {2, refused, 0, scopeUnknown}},
		"a wrong API key":             {{1, through, 0, scopeUnknown}, {2, unavailable(reasonUnauthorized, errNotHTTP), 0, scopeAll}},
	} {
		var r reach
		now := at
		for i, c := range calls {
			now = now.Add(c.after + time.Second)
			assert.Equal(t, c.want, r.of(tag{c.id}, c.err, now), "%s: %d", name, i)
		}
	}
}

// The log's own words hold whatever Whop says, and answers hold none of it.
func FuzzReadFailure(f *testing.F) {
	f.Add(404, `{"error":{"type":"not_found","message":"No such Membership found with the provided ID: KEY"}}`, "KEY")
	f.Add(400, `{"message":"version 2025-01-01"}`, "2025")
	f.Add(503, blockPage, "")
	f.Fuzz(func(t *testing.T, code int, body, key string) {
		err := readFailure(code, "", []byte(body), key)
		var up *upstreamError
		if !errors.As(err, &up) {
			assert.Equal(t, errUnknown, err)
			assert.Equal(t, 404, code)
			return
		}
		assert.LessOrEqual(t, len([]rune(up.said)), maxSaid+1)
		assert.NotContains(t, up.said, "\n")
		assert.NotContains(t, up.Error(), "\n")
		assert.LessOrEqual(t, len(up.versions), maxVersions)
	})
}
