package whop

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

type countNotices struct{ count int }

func (n *countNotices) License(slog.Level, string, string, ...any)                { n.count++ }
func (n *countNotices) General(slog.Level, time.Duration, string, string, ...any) { n.count++ }

type countResults struct {
	noMetrics
	results map[string]int
}

func (c countResults) Called(_, result string, _ time.Duration) { c.results[result]++ }

// budgetOf counts what is taken, and refuses it if there is nothing left.
type budgetOf struct {
	taken map[string]int
	out   map[string]bool
}

func (b budgetOf) Take(_ context.Context, operation string) (time.Duration, error) {
	if b.out[operation] {
		return time.Minute, nil
	}
	b.taken[operation]++
	return 0, nil
}

// wordless is a Whop that has one license, unless a test changes what it answers
// to a path, and that doesn't say what an unknown license key is.
type wordless struct {
	mu      sync.Mutex
	answers map[string]string // a status, a space and a body
	asked   map[string]int
	budget  budgetOf
}

const (
	nothingThere = `404 {"error":{"type":"not_found","message":"Not found"}}`
	license1     = `200 {"id":"mem_1","status":"active","product":{"id":"prod_1"},"license_key":"KEY-1","metadata":{},"cancel_at_period_end":false,"renewal_period_end":null}`
	noKey        = `{"id":"mem_0","license_key":null}`
)

func (s *wordless) client(t *testing.T, changed map[string]string) *Client {
	s.asked, s.budget = map[string]int{}, budgetOf{map[string]int{}, map[string]bool{}}
	s.answers = map[string]string{
		"/accounts/me":       `200 {"id":"biz_1"}`,
		"/memberships":       `200 {"data":[` + noKey + `,{"id":"mem_1","license_key":"KEY-1"}]}`,
		"/memberships/KEY-1": license1,
		"/memberships/mem_1": license1,
	}
	s.change(changed)
	w := answering(t, func(r *http.Request) (int, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		path := r.URL.Path
		if strings.HasPrefix(path, "/memberships/PROBE-") {
			path = "/memberships/made-up"
		}
		s.asked[path]++
		answer, ok := s.answers[path]
		if path == "/memberships" && r.URL.Query().Get("company_id") != "biz_1" { // as the version 2025-01-01 has it
			answer = `400 {"error":{"type":"bad_request","message":"company_id is required"}}`
		}
		if after := r.URL.Query().Get("after"); path == "/memberships" && after != "" && answer[:3] == "200" {
			answer = s.answers["/memberships?after="+after]
		}
		if !ok {
			answer = nothingThere
		}
		status := map[string]int{"200": 200, "400": 400, "404": 404, "503": 503}[answer[:3]]
		return status, answer[4:]
	})
	w.budget, w.notices = s.budget, new(countNotices)
	return w
}

func (s *wordless) change(answers map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.answers, answers)
}

func TestUnknownLicenseKeyThatWhopHasNoWordsFor(t *testing.T) {
	var s wordless
	w := s.client(t, map[string]string{"/memberships/OTHER": `404 {"message":"Application not found"}`})
	_, err := w.LookUp(t.Context(), "OTHER")
	assertKind(t, otherNotFound, err, "words that Whop does not use, which keep nothing from being learned")
	_, err = w.LookUp(t.Context(), "KEY-2")
	assert.ErrorIs(t, err, check.ErrUnknown)
	_, err = w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)
	assert.Equal(t, map[string]int{"/memberships/OTHER": 1, "/memberships/KEY-2": 1, "/memberships/KEY-3": 1, "/memberships/KEY-1": 3, "/memberships/made-up": 1, "/memberships": 2, "/accounts/me": 1}, s.asked)
	assert.Equal(t, 2, s.budget.taken[Strangers], "what confirms an unknown license key counts as one")

	notices, metrics := new(countNotices), countResults{results: map[string]int{}}
	w.notices, w.metrics = notices, metrics
	_, err = w.LookUp(t.Context(), "KEY-4")
	assert.ErrorIs(t, err, check.ErrUnknown)
	assert.Zero(t, notices.count, "nothing is wrong")
	assert.Equal(t, map[string]int{"unknown": 1, "ok": 1}, metrics.results)

	assertKind(t, unknownToWrite, w.SetMetadata(t.Context(), "mem_2", binding.Metadata{}, "i"), "a write")
	_, err = w.LookUp(t.Context(), "OTHER")
	assertKind(t, otherNotFound, err, "words that Whop does not use")
	assert.NoError(t, w.ProbeLookUp(t.Context()))
}

// Memberships of a product without license keys may be listed first.
func TestLicenseKeysThatComeLateInTheList(t *testing.T) {
	page := func(next int, memberships string) string {
		return fmt.Sprintf(`200 {"data":[%s],"page_info":{"has_next_page":true,"end_cursor":"%d"}}`, memberships, next)
	}
	for pages, found := range map[int]bool{maxControlPages: true, maxControlPages + 1: false} {
		var s wordless
		lists := map[string]string{"/memberships": page(2, noKey)}
		for n := 2; n < pages; n++ {
			lists[fmt.Sprint("/memberships?after=", n)] = page(n+1, noKey)
		}
		lists[fmt.Sprint("/memberships?after=", pages)] = page(pages+1, `{"id":"mem_1","license_key":"KEY-1"},{"id":"mem_2","license_key":"KEY-2"}`)
		w := s.client(t, lists)
		_, err := w.LookUp(t.Context(), "KEY-3")
		if found {
			assert.ErrorIs(t, err, check.ErrUnknown)
		} else {
			assertKind(t, otherNotFound, err, "beyond what is read")
		}
		assert.Equal(t, 1+maxControlPages, s.asked["/memberships"], "the parameter's name is tried once")
	}
}

// What can't be told from an outage stays one, and costs few calls.
func TestUnknownLicenseKeyThatMayBeAnOutage(t *testing.T) {
	for name, changed := range map[string]map[string]string{
		"a server that isn't Whop's":        {"/accounts/me": nothingThere, "/memberships": nothingThere, "/memberships/KEY-1": nothingThere, "/memberships/mem_1": nothingThere},
		"no list":                           {"/memberships": nothingThere},
		"a list that isn't one":             {"/memberships": `200 [1]`},
		"a list of something else":          {"/memberships": `200 {"data":["mem_1"]}`},
		"an account without memberships":    {"/memberships": `200 {"data":[]}`},
		"memberships without license keys":  {"/memberships": `200 {"data":[` + noKey + `]}`},
		"an id in place of a license key":   {"/memberships": `200 {"data":[{"id":"mem_1","license_key":"mem_1"}]}`},
		"another license":                   {"/memberships": `200 {"data":[{"id":"mem_2","license_key":"KEY-1"}]}`},
		"a license that isn't found either": {"/memberships/KEY-1": nothingThere},
		"another word for a key that isn't": {"/memberships/made-up": `404 {"error":"Gone"}`},
		"another word in quotes":            {"/memberships/made-up": `404 {"error":"Not found: \"this\""}`, "/memberships/KEY-2": `404 {"error":"Not found: \"that\""}`},
		"no words at all":                   {"/memberships/made-up": `404 {"error":{}}`, "/memberships/KEY-2": `404 {"error":{}}`},
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

// When the route is gone, or the API key has lost its rights, Whop may say the same
// about every license as it said about an unknown license key.
func TestOutageInTheWordsForAnUnknownLicenseKey(t *testing.T) {
	var s wordless
	w := s.client(t, map[string]string{"/memberships/KEY-2": strings.Replace(license1, "KEY-1", "KEY-2", 1)})
	_, err := w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)

	s.change(map[string]string{"/memberships/KEY-1": nothingThere, "/memberships/KEY-2": nothingThere})
	for range 3 {
		_, err = w.LookUp(t.Context(), "KEY-2")
		assertKind(t, otherNotFound, err, "a paying customer's")
	}
	assert.Equal(t, 2, s.asked["/memberships/KEY-1"], "once it isn't found, the words are forgotten")

	s.change(map[string]string{"/memberships/KEY-1": license1})
	w.unknown.tried = time.Now().Add(-learnInterval)
	_, err = w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown, "after the outage")
}

func TestLicenseThatIsRemadeAfterTheWordsWereLearned(t *testing.T) {
	var s wordless
	w := s.client(t, nil)
	_, err := w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)
	w.unknown.tried = time.Now().Add(-learnInterval)
	s.change(map[string]string{
		"/memberships":       `200 {"data":[{"id":"mem_1","license_key":"KEY-9"}]}`,
		"/memberships/KEY-1": nothingThere,
		"/memberships/KEY-9": strings.Replace(license1, "KEY-1", "KEY-9", 1),
	})
	_, err = w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown, "another license is found at once")
}

// If Whop can't be asked for the license that exists, nothing is known for now.
func TestUnknownLicenseKeyThatCantBeConfirmed(t *testing.T) {
	var s wordless
	w := s.client(t, nil)
	_, err := w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)
	s.change(map[string]string{"/memberships/KEY-1": `503 {"error":"Down"}`})
	_, err = w.LookUp(t.Context(), "KEY-3")
	assertKind(t, failing, err, "an outage in between")
	s.change(map[string]string{"/memberships/KEY-1": license1})
	s.budget.out[Strangers] = true
	_, err = w.LookUp(t.Context(), "KEY-3")
	assertKind(t, overBudget, err, "strangers have used up their part")
	s.budget.out[Strangers] = false
	_, err = w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown, "the words are still known")
	assert.Equal(t, 1, s.asked["/accounts/me"])
}

func TestOneLookUpConfirmsManyUnknownLicenseKeys(t *testing.T) {
	var s wordless
	w := s.client(t, nil)
	_, err := w.LookUp(t.Context(), "KEY-3")
	assert.ErrorIs(t, err, check.ErrUnknown)
	heard := time.Now()
	assert.NoError(t, w.findControl(t.Context(), heard))
	assert.NoError(t, w.findControl(t.Context(), heard))
	assert.Equal(t, 2, s.asked["/memberships/KEY-1"])
	assert.NoError(t, w.findControl(t.Context(), time.Now()))
	assert.Equal(t, 3, s.asked["/memberships/KEY-1"], "one that began before shows nothing")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := w.LookUp(t.Context(), "KEY-1"+strconv.Itoa(i))
			assert.ErrorIs(t, err, check.ErrUnknown)
		})
	}
	all.Wait()
}

func TestLearningIsTriedAgain(t *testing.T) {
	var u unknownText
	now := time.Now()
	assert.True(t, u.mayTry(now))
	assert.False(t, u.mayTry(now.Add(learnInterval-1)))
	assert.True(t, u.mayTry(now.Add(learnInterval)))
}
