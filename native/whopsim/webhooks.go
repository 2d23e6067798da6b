package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The webhooks that Whop documents for memberships.
const (
	hookActivated   = "membership.activated"
	hookDeactivated = "membership.deactivated"
	hookCancelAtEnd = "membership.cancel_at_period_end_changed"
	hookUpdated     = "membership.updated" // whatever changed
)

// webhooks sends signed messages as Standard Webhooks defines them
// (https://www.standardwebhooks.com). It sends each at once, and tries again in the
// background if it was not accepted.
type webhooks struct {
	url    string // empty: nothing is sent
	pinned string // the version of the bodies
	signer *standardwebhooks.Webhook
	client *http.Client
	retry  []time.Duration
	stop   context.CancelFunc
	ctx    context.Context
	wait   sync.WaitGroup
}

// A delivery is what a control route says about a webhook that it caused.
type delivery struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Status int    `json:"status"` // 0: no answer
	Error  string `json:"error,omitempty"`
}

func newWebhooks(url, secret, pinned string) (*webhooks, error) {
	h := &webhooks{
		url: url, pinned: pinned,
		client: &http.Client{
			Timeout:       5 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		retry: []time.Duration{time.Second, 5 * time.Second, 30 * time.Second},
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	var err error
	if strings.HasPrefix(secret, "whsec_") {
		h.signer, err = standardwebhooks.NewWebhook(secret)
	} else {
		h.signer, err = standardwebhooks.NewWebhookRaw([]byte(secret))
	}
	if err != nil {
		return nil, fmt.Errorf("--webhook-secret: what follows whsec_ is not base64")
	}
	return h, nil
}

// close drops everything that has not been delivered.
func (h *webhooks) close() {
	h.stop()
	h.wait.Wait()
}

type message struct {
	kind, id string
	at       time.Time
	body     []byte
}

// compose builds a message about m. An empty id gets a fresh one, a zero time
// is now, and an empty version is the one that webhooks are pinned to.
func (h *webhooks) compose(kind, id string, at time.Time, date string, m *membership) message {
	if id == "" {
		id = "msg_" + rand.Text()
	}
	if at.IsZero() {
		at = time.Now()
	}
	v, err := versionOf(cmp.Or(date, h.pinned))
	if err != nil {
		panic("whopsim: " + err.Error()) // flags and control routes take known ones only
	}
	business := "account_id"
	if v.date == legacyVersion {
		business = "company_id"
	}
	return message{kind, id, at, encode(map[string]any{
		"id": id, "type": kind, "api_version": "v1", "api_version_date": v.date,
		"timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		business:    m.company, "data": v.shape(m),
	})}
}

// changed sends, in the background, the webhooks that result from a write
// through the API. The caller holds the lock.
func (h *webhooks) changed(m *membership) {
	if h.url == "" {
		return
	}
	msg := h.compose(hookUpdated, "", time.Time{}, "", m)
	h.wait.Go(func() { h.send(msg, true) })
}

// send tries once and returns the result. If it failed and persist is set, send
// retries in the background.
func (h *webhooks) send(msg message, persist bool) delivery {
	d := h.attempt(msg)
	if persist && (d.Status < 200 || d.Status > 299) {
		h.wait.Go(func() {
			for _, pause := range h.retry {
				select {
				case <-h.ctx.Done():
					return
				case <-time.After(pause):
				}
				if again := h.attempt(msg); again.Status >= 200 && again.Status <= 299 {
					return
				}
			}
		})
	}
	return d
}

func (h *webhooks) attempt(msg message) delivery {
	d := delivery{Type: msg.kind, ID: msg.id}
	status, err := h.post(msg)
	d.Status = status
	if err != nil {
		d.Error = err.Error()
	}
	return d
}

func (h *webhooks) post(msg message) (int, error) {
	signature, err := h.signer.Sign(msg.id, msg.at, msg.body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.url, bytes.NewReader(msg.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, msg.id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(msg.at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, nil
}

// hooksFor names the webhooks that a change causes. A remade key causes none.
func hooksFor(before, after *membership) []string {
	var kinds []string
	if before.entitled() != after.entitled() {
		if after.entitled() {
			kinds = append(kinds, hookActivated)
		} else {
			kinds = append(kinds, hookDeactivated)
		}
	}
	if before.cancelAtPeriodEnd != after.cancelAtPeriodEnd {
		kinds = append(kinds, hookCancelAtEnd)
	}
	if v := versions[0]; !bytes.Equal(encode(v.shape(before)), encode(v.shape(after))) {
		kinds = append(kinds, hookUpdated)
	}
	return kinds
}
