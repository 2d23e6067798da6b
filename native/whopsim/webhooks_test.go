package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A received webhook, its signature checked by the letter of the scheme.
type received struct {
	header http.Header
	body   map[string]any
}

// receiver takes webhooks, checks them against the key, and answers status.
func receiver(t *testing.T, key string, status func() int) (string, chan received) {
	t.Helper()
	got := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(raw)))
		assert.Equal(t, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)), r.Header.Get("webhook-signature"))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		var body map[string]any
		assert.NoError(t, json.Unmarshal(raw, &body))
		got <- received{r.Header, body}
		w.WriteHeader(status())
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func always(status int) func() int { return func() int { return status } }

func TestWebhooksFollowFromChanges(t *testing.T) {
	const key = "thirty-two bytes of webhook key."
	for name, secret := range map[string]string{
		"ASCII":  key,
		"whsec_": "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)),
	} {
		t.Run(name, func(t *testing.T) {
			url, got := receiver(t, key, always(204))
			sim := start(t, full, "--webhook-url", url+"/hooks", "--webhook-secret", secret)
			for _, step := range []struct {
				path, body string
				want       []any
			}{
				{"/sim/memberships/K", `{"status":"active"}`, []any{hookUpdated}}, // still entitled
				{"/sim/cancel/K", ``, []any{hookDeactivated, hookUpdated}},
				{"/sim/memberships/K", `{"status":"expired"}`, []any{hookUpdated}}, // still not
				{"/sim/memberships/K", `{"status":"active"}`, []any{hookActivated, hookUpdated}},
				{"/sim/memberships/K", `{"cancel_at_period_end":true}`, []any{hookCancelAtEnd, hookUpdated}},
				{"/sim/memberships/K", `{"cancel_at_period_end":false,"status":"canceled"}`, []any{hookDeactivated, hookCancelAtEnd, hookUpdated}},
				{"/sim/reset/K", ``, []any{hookUpdated}}, // null before
				{"/sim/reset/K", ``, nil},
				{"/sim/memberships/K", `{"fault":"500"}`, nil},
			} {
				o := sim.sim(200, "POST", step.path, step.body).json(t)
				require.Len(t, o["webhooks"], len(step.want), "%s %s", step.path, step.body)
				for i, kind := range step.want {
					told := o["webhooks"].([]any)[i].(map[string]any)
					hook := <-got
					assert.Equal(t, kind, hook.body["type"])
					assert.Equal(t, kind, told["type"])
					assert.Equal(t, 204.0, told["status"])
					assert.Equal(t, hook.header.Get("webhook-id"), told["id"])
					assert.Equal(t, hook.header.Get("webhook-id"), hook.body["id"])
					assert.Equal(t, "v1", hook.body["api_version"])
					assert.Equal(t, "biz_1", hook.body["company_id"])
					data := hook.body["data"].(map[string]any)
					assert.Equal(t, "mem_1", data["id"])
					assert.Equal(t, o["membership"].(map[string]any)["status"], data["status"])
				}
			}
			sim.sim(200, "POST", "/sim/remake/K", "")
			assert.Empty(t, got)
		})
	}
}

func TestWebhooksTellOfWritesThroughTheAPI(t *testing.T) {
	url, got := receiver(t, "key", always(204))
	sim := start(t, `[{"license_key":"K","id":"mem_1"},{"license_key":"L","id":"mem_2","fault":"ignored-write"}]`, "--webhook-url", url, "--webhook-secret", "key")
	metadata := func() any {
		hook := <-got
		assert.Equal(t, hookUpdated, hook.body["type"])
		return hook.body["data"].(map[string]any)["metadata"]
	}
	assert.Equal(t, 200, sim.patch("mem_2", `{"metadata":{"HWID":"1"}}`).status)
	assert.Equal(t, 200, sim.patch("mem_1", `{"metadata":{"HWID":"1"}}`).status)
	assert.Equal(t, map[string]any{"HWID": "1"}, metadata(), "the first of what was really written")
	assert.Equal(t, 200, sim.patch("mem_1", `{"metadata":{"HWID":"1"}}`).status)
	assert.Equal(t, 200, sim.patch("mem_1", `{"metadata":{}}`).status)
	assert.Equal(t, map[string]any{}, metadata(), "nothing changed before")
	assert.Equal(t, 201, sim.validate("K", `{"metadata":{"HWID":"2"}}`).status)
	assert.Equal(t, map[string]any{"HWID": "2"}, metadata())
}

func TestWebhooksArePinnedToAVersion(t *testing.T) {
	url, got := receiver(t, "key", always(204))
	sim := start(t, full, "--webhook-url", url, "--webhook-secret", "key", "--webhook-version", "2026-07-20")
	for _, c := range []struct{ version, date, business, plan string }{
		{``, "2026-07-20", "account_id", "plan_id"},
		{`,"version":"2025-01-01"`, "2025-01-01", "company_id", "plan"},
		{`,"version":"2026-11-17"`, "2026-11-17", "account_id", "variant_id"},
	} {
		sim.sim(200, "POST", "/sim/webhook/K", `{"type":"membership.updated"`+c.version+`}`)
		hook := <-got
		assert.Equal(t, c.date, hook.body["api_version_date"])
		assert.Equal(t, "biz_1", hook.body[c.business])
		assert.Contains(t, hook.body["data"], c.plan)
		assert.Equal(t, sim.get("K", "Api-Version-Date: "+c.date).json(t), hook.body["data"])
	}
	sim.sim(400, "POST", "/sim/webhook/K", `{"type":"membership.updated","version":"2026-01-01"}`)
}

func TestWebhooksOnRequest(t *testing.T) {
	url, got := receiver(t, "key", always(500))
	sim := start(t, full, "--webhook-url", url, "--webhook-secret", "key")
	for range 2 {
		told := sim.sim(200, "POST", "/sim/webhook/K", `{"type":"membership.activated","id":"msg_1","timestamp":1700000000}`).json(t)
		assert.Equal(t, map[string]any{"type": "membership.activated", "id": "msg_1", "status": 500.0}, told)
		hook := <-got
		assert.Equal(t, "msg_1", hook.header.Get("webhook-id"))
		assert.Equal(t, "1700000000", hook.header.Get("webhook-timestamp"))
		assert.Equal(t, "2023-11-14T22:13:20.000Z", hook.body["timestamp"])
	}
	sim.sim(200, "POST", "/sim/webhook/K", `{"type":"membership.deactivated"}`)
	sim.sim(200, "POST", "/sim/webhook/K", `{"type":"membership.deactivated"}`)
	first, second := <-got, <-got
	assert.NotEqual(t, first.body["id"], second.body["id"])
	sim.sim(400, "POST", "/sim/webhook/K", `{"type":"membership.exploded"}`)
	sim.sim(400, "POST", "/sim/webhook/K", `{}`)
	sim.sim(404, "POST", "/sim/webhook/nope", `{"type":"membership.activated"}`)
}

func TestWebhookIsTriedAgain(t *testing.T) {
	var tries atomic.Int32
	url, got := receiver(t, "key", func() int {
		if tries.Add(1) < 3 {
			return 500
		}
		return 200
	})
	hooks, err := newWebhooks(url, "key", legacyVersion)
	require.NoError(t, err)
	hooks.retry = []time.Duration{0, 0, 0, 0}
	m := membership{id: "mem_1", status: "active"}
	told := hooks.send(hooks.compose(hookActivated, "", time.Time{}, "", &m), true)
	assert.Equal(t, 500, told.Status)
	hooks.wait.Wait()
	assert.EqualValues(t, 3, tries.Load(), "until it is taken")
	ids := map[string]bool{}
	for range 3 {
		ids[(<-got).header.Get("webhook-id")] = true
	}
	assert.Len(t, ids, 1, "by the same id")
}

func TestWebhooksWithoutAReceiver(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	hooks, err := newWebhooks(dead.URL, "key", legacyVersion)
	require.NoError(t, err)
	hooks.retry = []time.Duration{time.Hour}
	told := hooks.send(hooks.compose(hookActivated, "", time.Time{}, "", &membership{}), true)
	assert.Zero(t, told.Status)
	assert.NotEmpty(t, told.Error)
	hooks.close() // does not wait an hour
}

func TestWebhooksAreNotRedirected(t *testing.T) {
	url, _ := receiver(t, "key", always(200))
	elsewhere := httptest.NewServer(http.RedirectHandler(url, http.StatusTemporaryRedirect))
	t.Cleanup(elsewhere.Close)
	hooks, err := newWebhooks(elsewhere.URL, "key", legacyVersion)
	require.NoError(t, err)
	t.Cleanup(hooks.close)
	assert.Equal(t, 307, hooks.send(hooks.compose(hookActivated, "", time.Time{}, "", &membership{}), false).Status)
}
