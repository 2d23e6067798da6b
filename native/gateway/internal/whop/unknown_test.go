package whop

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

type noBudget struct{}

func (noBudget) Take(context.Context, string) (time.Duration, error) { return 0, nil }

type noNotices struct{}

func (noNotices) License(slog.Level, string, string, ...any)                {}
func (noNotices) General(slog.Level, time.Duration, string, string, ...any) {}

// wordless is a Whop that has one membership, unless a test changes what it
// answers to a path, and that doesn't say what an unknown license key is.
type wordless struct {
	answers map[string]string // a status, a space and a body
	asked   map[string]int
}

const (
	nothingThere = `404 {"error":{"type":"not_found","message":"Not found"}}`
	membership1  = `200 {"id":"mem_1","status":"active","product":{"id":"prod_1"},"license_key":"KEY-1","metadata":{}}`
)

func (s *wordless) client(t *testing.T, changed map[string]string) *Client {
	s.asked = map[string]int{}
	s.answers = map[string]string{
		"/accounts/me":       `200 {"id":"biz_1"}`,
		"/memberships":       `200 {"data":[{"id":"mem_1"}]}`,
		"/memberships/mem_1": membership1,
	}
	for path, answer := range changed {
		s.answers[path] = answer
	}
	w := answering(t, func(r *http.Request) (int, string) {
		path := r.URL.Path
		if strings.HasPrefix(path, "/memberships/PROBE-") {
			path = "/memberships/made-up"
		}
		s.asked[path]++
		answer, ok := s.answers[path]
		if path == "/memberships" && r.URL.Query().Get("company_id") != "biz_1" { // as the version 2025-01-01 has it
			answer = `400 {"error":{"type":"bad_request","message":"company_id is required"}}`
		}
		if !ok {
			answer = nothingThere
		}
		status := map[string]int{"200": 200, "400": 400, "404": 404}[answer[:3]]
		return status, answer[4:]
	})
	w.budget, w.notices = noBudget{}, noNotices{}
	return w
}

func TestUnknownLicenseKeyThatWhopHasNoWordsFor(t *testing.T) {
	var s wordless
	w := s.client(t, map[string]string{"/memberships/OTHER": `404 {"message":"Application not found"}`})
	_, err := w.LookUp(t.Context(), "KEY-2")
	assert.ErrorIs(t, err, check.ErrUnknown)
	_, err = w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)
	assert.Equal(t, map[string]int{"/memberships/KEY-2": 1, "/memberships/KEY-3": 1, "/memberships/mem_1": 1, "/memberships/made-up": 1, "/memberships": 2, "/accounts/me": 1}, s.asked)
	assertKind(t, unknownToWrite, w.SetMetadata(t.Context(), "mem_2", binding.Metadata{}, "i"), "a write")
	_, err = w.LookUp(t.Context(), "OTHER")
	assertKind(t, otherNotFound, err, "words that Whop does not use")
	assert.NoError(t, w.ProbeLookUp(t.Context()))
}

// What can't be told from an outage stays one, and costs few calls.
func TestUnknownLicenseKeyThatMayBeAnOutage(t *testing.T) {
	for name, changed := range map[string]map[string]string{
		"a server that isn't Whop's":           {"/accounts/me": nothingThere, "/memberships": nothingThere, "/memberships/mem_1": nothingThere},
		"no list":                              {"/memberships": nothingThere},
		"a list that isn't one":                {"/memberships": `200 [1]`},
		"a list of something else":             {"/memberships": `200 {"data":["mem_1"]}`},
		"an id that isn't one":                 {"/memberships": `200 {"data":[{"id":"mem 1"}]}`},
		"an account without memberships":       {"/memberships": `200 {"data":[]}`},
		"a membership that isn't found either": {"/memberships/mem_1": nothingThere},
		"another word for a key that isn't":    {"/memberships/made-up": `404 {"error":"Gone"}`},
		"no words at all":                      {"/memberships/made-up": `404 {"error":{}}`, "/memberships/KEY-2": `404 {"error":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var s wordless
			w := s.client(t, changed)
			for range 2 {
				_, err := w.LookUp(t.Context(), "KEY-2")
				assertKind(t, otherNotFound, err, name)
			}
			assert.Equal(t, 2, s.asked["/memberships/KEY-2"])
			assert.LessOrEqual(t, s.asked["/accounts/me"], 1, "at most once a minute")
		})
	}
	var s wordless
	w := s.client(t, map[string]string{"/memberships/KEY-2": `404 {"error":"No such route"}`})
	_, err := w.LookUp(t.Context(), "KEY-2")
	assertKind(t, otherNotFound, err, "a route")
	assert.Zero(t, s.asked["/accounts/me"], "the words are clear")
}

func TestLearningIsTriedAgain(t *testing.T) {
	var u unknownText
	now := time.Now()
	assert.True(t, u.mayTry(now))
	assert.False(t, u.mayTry(now.Add(learnInterval-1)))
	assert.True(t, u.mayTry(now.Add(learnInterval)))
}
