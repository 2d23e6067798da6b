package whop

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

const (
	// learnInterval is how long an attempt to learn what Whop says about an unknown
	// license key keeps the next one from being made.
	learnInterval = time.Minute
	// listedForControl is how many memberships are listed at once, so that the answer
	// fits, to find one that has a license key. Those of a product without keys may come
	// first.
	listedForControl = 20
	maxControlPages  = 5
)

// unknownText is what Whop says about a license key that it doesn't know, if the
// text doesn't say that it is about a membership. Whop doesn't document the text,
// and may say the same about everything when a route is gone. So each time, Whop
// must then find the control, or the text shows nothing.
type unknownText struct {
	turn    *semaphore.Weighted // held to use tried, control and found
	tried   time.Time           // when the text was last to be learned
	control control             // zero until the text was learned
	found   time.Time           // when Whop was asked for the control and found it

	mu   sync.Mutex
	text string // empty until it was learned
}

// control is a license that exists. It is looked up by its license key, as Whop
// could still find memberships by their ids only.
type control struct{ id, key string }

// is reports whether a 404 says what Whop says about an unknown license key.
func (u *unknownText) is(f *Failure) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return f != nil && f.words != "" && f.words == u.text
}

func (u *unknownText) set(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.text = text
}

// mayTry reports whether it is time to learn the text. The caller then tries.
func (u *unknownText) mayTry(now time.Time) bool {
	if !u.tried.IsZero() && now.Sub(u.tried) < learnInterval {
		return false
	}
	u.tried = now
	return true
}

// unconfirmed is a 404 to a look-up that says what Whop says about an unknown
// license key, before Whop was asked for the control.
type unconfirmed struct{ *Failure }

// vague returns the failure if it is a 404 that names neither a membership nor a
// route, and otherwise nil.
func vague(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) && f.Kind == otherNotFound && !f.namesARoute() {
		return f
	}
	return nil
}

// confirmUnknown returns [check.ErrUnknown] if a vague 404 is Whop's answer about an
// unknown license key, and otherwise a [*Failure].
func (w *Client) confirmUnknown(ctx context.Context, f *Failure) error {
	u, heard := &w.unknown, time.Now()
	if f.words == "" || u.turn.Acquire(ctx, 1) != nil {
		return f
	}
	defer u.turn.Release(1)
	if u.is(f) {
		var up *Failure
		switch err := w.findControl(ctx, heard); {
		case err == nil:
			return check.ErrUnknown
		case errors.As(err, &up) && up.mayPass():
			return up
		}
		u.set("")
		w.log.Warn("Whop doesn't find a license that it found before, so what it says about unknown license keys is learned again; until then, such a 404 is no verdict", "whop_says", f.said)
	}
	if !u.mayTry(time.Now()) {
		return f
	}
	w.learnUnknown(ctx)
	if u.is(f) {
		return check.ErrUnknown
	}
	return f
}

// findControl returns nil if Whop finds the control. One look-up serves all that
// heard a 404 before it began. It counts as one of an unknown license key, so that
// those don't use up what is reserved for licenses that exist.
func (w *Client) findControl(ctx context.Context, heard time.Time) error {
	u := &w.unknown
	if u.found.After(heard) {
		return nil
	}
	if err := w.takeShare(ctx, Strangers); err != nil {
		return err
	}
	return w.find(ctx, u.control)
}

func (w *Client) find(ctx context.Context, c control) error {
	asked := time.Now()
	m, err := w.call(ctx, opLookUp, c.key, nil, "")
	if err != nil {
		return err
	}
	if m.ID != c.id {
		return newFailure(badAnswer, errors.New("another membership than the listed one"))
	}
	w.unknown.found = asked
	return nil
}

// learnUnknown learns what Whop says about a license key that doesn't exist, if Whop
// then finds one that does.
func (w *Client) learnUnknown(ctx context.Context) {
	_, err := w.call(ctx, opLookUp, madeUpKey(), nil, "")
	f := vague(err)
	if f == nil || f.words == "" {
		return
	}
	c, err := w.someLicense(ctx)
	if err != nil || c.key == "" || w.find(ctx, c) != nil {
		return
	}
	w.unknown.control = c
	w.unknown.set(f.words)
	w.log.Info("Whop's 404 about an unknown license key doesn't mention a membership; from now on, the gateway knows it by whop_says, as long as Whop finds a license that exists", "whop_says", f.said)
}

// someLicense returns the first license that Whop lists, or a zero control if none of
// the first memberships has a license key.
func (w *Client) someLicense(ctx context.Context) (c control, err error) {
	account, err := w.account(ctx)
	if err != nil {
		return control{}, err
	}
	err = w.list(ctx, "/memberships", account, listedForControl, maxControlPages, func(raw jsontext.Value) (more bool, err error) {
		m, err := readMembers(raw, "id", "license_key")
		if err != nil {
			return false, err
		}
		id, ok := readText(m["id"].raw)
		key, _ := readText(m["license_key"].raw)
		if !ok || key == "" || isMembershipID(key) {
			return true, nil
		}
		c = control{id, key}
		return false, nil
	})
	return c, err
}

// madeUpKey returns a license key that doesn't exist.
func madeUpKey() string { return "PROBE-" + rand.Text() }
