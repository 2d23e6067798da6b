package whop

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// learnInterval is how long an attempt to learn what Whop says about an unknown
// license key keeps the next one from being made.
const learnInterval = time.Minute

// unknownText is what Whop says about a license key that it doesn't know, if the
// text doesn't say that it is about a membership. Whop doesn't document the text.
type unknownText struct {
	mu    sync.Mutex
	tried time.Time
	text  string // empty until it was learned
}

// is reports whether an error is Whop's answer about an unknown license key.
func (u *unknownText) is(err error) bool {
	f := vague(err)
	if f == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return f.said != "" && f.said == u.text
}

// mayTry reports whether it is time to learn the text. The caller then tries.
func (u *unknownText) mayTry(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.tried.IsZero() && now.Sub(u.tried) < learnInterval {
		return false
	}
	u.tried = now
	return true
}

func (u *unknownText) learn(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.text = text
}

// vague returns the failure if it is a 404 that names neither a membership nor a
// route, and otherwise nil.
func vague(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) && f.Kind == otherNotFound && !f.namesARoute() {
		return f
	}
	return nil
}

// learnUnknown finds out whether a text is what Whop says about an unknown license
// key. It asks Whop about a license key that doesn't exist, and as a control about
// a membership that does: if Whop finds that one, the route is there, and it is the
// license key that isn't.
func (w *Client) learnUnknown(ctx context.Context, said string) bool {
	if said == "" || !w.unknown.mayTry(time.Now()) {
		return false
	}
	known, err := w.someMembership(ctx)
	if err != nil || known == "" {
		return false
	}
	if _, err := w.call(ctx, opLookUp, known, nil, ""); err != nil {
		return false
	}
	_, err = w.call(ctx, opLookUp, madeUpKey(), nil, "")
	if f := vague(err); f == nil || f.said != said {
		return false
	}
	w.unknown.learn(said)
	w.log.Info("Whop's 404 about an unknown license key doesn't mention a membership; from now on, the gateway knows it by whop_says, because Whop finds a membership that exists", "whop_says", said)
	return true
}

// someMembership returns the id of a membership of the API key's account, or an
// empty text if there is none.
func (w *Client) someMembership(ctx context.Context) (id string, err error) {
	account, err := w.account(ctx)
	if err != nil {
		return "", err
	}
	body, err := w.list(ctx, "/memberships", account, url.Values{"first": {"1"}})
	if err != nil {
		return "", err
	}
	var page struct {
		Data []jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return "", newFailure(badAnswer, errors.New("not a list of memberships"))
	}
	if len(page.Data) == 0 {
		return "", nil
	}
	m, err := readMembers(page.Data[0], "id")
	if err != nil {
		return "", newFailure(badAnswer, err)
	}
	id, ok := readReference(m["id"])
	if !ok {
		return "", newFailure(badAnswer, unusable("id", m["id"]))
	}
	return id, nil
}

// madeUpKey returns a license key that doesn't exist.
func madeUpKey() string { return "PROBE-" + rand.Text() }
