package api

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/whop-license/whop-license/native/gateway/internal/logtext"
	"github.com/whop-license/whop-license/shared/license"
)

const (
	maxWebhookBody = 256 << 10
	webhookTime    = 4 * time.Second // Whop waits for 5
	// unsignedNotice is how often refused webhooks are logged.
	unsignedNotice = time.Minute
	// rememberedWebhooks is how many ids are remembered to detect repeated events.
	// A signature is valid for five minutes before and after its time, so this is
	// enough for over a hundred webhooks a second. An undetected repetition is
	// harmless.
	rememberedWebhooks = 1 << 16
)

// webhooks accepts Whop's events about memberships, which are signed as
// Standard Webhooks specifies (https://www.standardwebhooks.com), and drops
// what is remembered about those memberships.
type webhooks struct {
	bodies    *bodies
	checker   Checker
	read      EventReader
	verifiers []*standardwebhooks.Webhook
	seen      *lru.Cache[string, struct{}]
	notices   Notices
	metrics   Metrics
	log       *slog.Logger
}

// EventReader reads the body of a webhook: its type, and the ids of the
// memberships that it is about, or none if it is about something else.
type EventReader func(body []byte) (kind string, memberships []string, err error)

// newWebhooks reads the secret in both encodings that are in use: the key
// itself as text, and "whsec_" followed by the key in base64. Without a secret,
// webhooks are not accepted.
func newWebhooks(c Config, shared *bodies) http.Handler {
	if c.WebhookSecret == "" {
		return http.HandlerFunc(writeNoSuchPath)
	}
	secret := c.WebhookSecret
	h := &webhooks{bodies: shared, checker: c.Checker, read: c.ReadEvent, notices: c.Notices, metrics: c.Metrics, log: c.Log}
	h.seen, _ = lru.New[string, struct{}](rememberedWebhooks)
	keys := [][]byte{[]byte(secret)}
	if key := encodedKey(secret); key != nil {
		keys = append(keys, key)
	}
	for _, key := range keys {
		verifier, _ := standardwebhooks.NewWebhookRaw(key)
		h.verifiers = append(h.verifiers, verifier)
	}
	return h
}

// WebhookKey returns the key of a webhook secret: what is encoded in it, or the
// secret itself.
func WebhookKey(secret string) []byte {
	if key := encodedKey(secret); key != nil {
		return key
	}
	return []byte(secret)
}

const encodedPrefix = "whsec_"

// IsMisspelledSecret reports whether a webhook secret looks like an encoded key
// but isn't valid base64.
func IsMisspelledSecret(secret string) bool {
	return strings.HasPrefix(secret, encodedPrefix) && encodedKey(secret) == nil
}

// encodedKey returns the key that a secret holds in base64, or nil.
func encodedKey(secret string) []byte {
	encoded, ok := strings.CutPrefix(secret, encodedPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) == 0 {
		return nil
	}
	return key
}

func (h *webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPost) {
		return
	}
	result, f := h.take(w, r)
	h.metrics.WebhookTaken(result)
	if f != nil {
		writeError(w, *f)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *webhooks) take(w http.ResponseWriter, r *http.Request) (result string, f *errorAnswer) {
	body, done, err := h.bodies.read(w, r, maxWebhookBody)
	defer done()
	if errors.Is(err, errNoRoom) {
		noRoom := unavailable(time.Second)
		return "failed", &noRoom
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		late := requestTimeout()
		return "refused", &late
	} else if err != nil {
		return "refused", &errorAnswer{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: "The body could not be read or is too long"}
	}
	if !h.signed(body, r.Header) {
		advice := "a webhook without a valid signature was refused; if it came from Whop, check WHOP_WEBHOOK_SECRET and this machine's clock"
		if r.Header.Get(standardwebhooks.HeaderWebhookSignature) == "" {
			advice = "a webhook that is not signed as those of Whop's API v1 was refused; if it came from Whop, it was made through v2 or v5, so make a new one in Whop's dashboard"
		}
		h.notices.General(slog.LevelWarn, unsignedNotice, advice, advice)
		return "refused", &errorAnswer{Status: http.StatusUnauthorized, Code: "bad_signature", Message: "The signature is missing, wrong or too old"}
	}
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	if h.seen.Contains(id) {
		return "repeated", nil
	}
	kind, memberships, err := h.read(body)
	if err != nil {
		return "refused", &errorAnswer{Status: http.StatusBadRequest, Code: "invalid_request", Message: "The event can't be used: " + err.Error()}
	}
	if len(memberships) == 0 {
		h.seen.Add(id, struct{}{})
		return "ignored", nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookTime)
	defer cancel()
	for _, m := range memberships {
		if err := h.checker.Forget(ctx, m); err != nil {
			h.log.Warn("other gateways could not be told of a webhook; Whop is asked to send it again", "error", err.Error())
			return "failed", &errorAnswer{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "Send this again", retryAfter: 5 * time.Second}
		}
	}
	h.seen.Add(id, struct{}{})
	h.log.Info("a membership changed", "membership", license.ShortenKey(memberships[0]), "type", logtext.Fit(kind, logtext.MaxName))
	return "applied", nil
}

func (h *webhooks) signed(body []byte, header http.Header) bool {
	for _, v := range h.verifiers {
		if v.Verify(body, header) == nil {
			return true
		}
	}
	return false
}
