package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWebhookEmptiesTheCache(t *testing.T) {
	key := testKey("hook")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	sim.control("POST", "/sim/cancel/"+key, nil)
	require.Equal(t, 201, g.validate(key, machine(1)).status, "nobody has said so yet")
	body := `{"type":"membership.deactivated","data":{"id":"` + sim.membership(key).ID + `","user":{"email":"` + personalMark + `@example.com"}}}`
	headers := signedHeaders(t, []byte(testSecret), "msg_1", time.Now(), body)
	headers[5] = "v1a,AAAA " + signedHeaders(t, []byte("the last secret"), "msg_1", time.Now(), body)[5] + " " + headers[5] // as while a secret is changed
	assert.Equal(t, 204, g.post("/webhooks/whop", body, headers...).status)
	assert.Equal(t, 403, g.validate(key, machine(1)).status)
}

// What a look-up says that began before a webhook does not count for a request
// that came after it.
func TestWebhookOvertakesALookUp(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		status        int
	}{"deactivated": {"active", "canceled", 403}, "activated": {"expired", "active", 201}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := testKey("overtaken")
			sim := startSim(t, []fields{licensed(key, fields{"status": c.before, "metadata": fields{"HWID": machine(1)}, "fault": "slow", "fault_delay": "2s", "fault_times": 1})})
			g := startGateway(t, sim)
			early := make(chan answer, 1)
			go func() { a, _ := g.tryValidate(key, machine(1)); early <- a }()
			eventually(t, "the first look-up is under way", func() bool { return sim.inFlight("v1.get") == 1 })
			sim.set(key, fields{"status": c.after})
			body := `{"type":"membership.` + name + `","data":{"id":"` + sim.membership(key).ID + `"}}`
			require.Equal(t, 204, g.post("/webhooks/whop", body, signedHeaders(t, []byte(testSecret), "msg_1", time.Now(), body)...).status)
			assert.Equal(t, c.status, g.validate(key, machine(1)).status)
			<-early
			assert.Equal(t, c.status, g.validate(key, machine(1)).status, "nor is it kept")
		})
	}
}

func TestWebhookFromTheSimulatorInBothEncodings(t *testing.T) {
	for _, secret := range []string{"ws_PRIVATE-plain-ascii-secret", "whsec_" + base64.StdEncoding.EncodeToString([]byte("PRIVATE \x00 binary"))} {
		t.Run(secret[:3], func(t *testing.T) {
			key := testKey("hooked")
			// The gateway's address is known only once it runs, and it needs the
			// simulator's: a relay stands between.
			var target string
			relay := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				req, err := http.NewRequest(r.Method, target+"/webhooks/whop", r.Body)
				if err != nil {
					w.WriteHeader(500)
					return
				}
				req.Header = r.Header.Clone()
				resp, err := client.Do(req)
				if err != nil {
					w.WriteHeader(500)
					return
				}
				resp.Body.Close()
				w.WriteHeader(resp.StatusCode)
			}))
			defer relay.Close()
			sim := startSim(t, []fields{licensed(key)}, "--webhook-url", relay.URL, "--webhook-secret", secret)
			g := startGatewayWith(t, sim, map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_WEBHOOK_SECRET": secret})
			target = g.url
			require.Equal(t, 201, g.validate(key, machine(1)).status)
			var said struct {
				Webhooks []struct {
					Status int `json:"status"`
				} `json:"webhooks"`
			}
			require.NoError(t, json.Unmarshal(sim.control("POST", "/sim/cancel/"+key, nil), &said))
			require.NotEmpty(t, said.Webhooks)
			for _, w := range said.Webhooks {
				assert.Equal(t, 204, w.Status)
			}
			assert.Equal(t, 403, g.validate(key, machine(1)).status)
		})
	}
}

func TestWebhooksThatAreRefused(t *testing.T) {
	key := testKey("refused")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	id := sim.membership(key).ID
	body := `{"type":"membership.deactivated","data":{"id":"` + id + `"}}`
	secret := []byte(testSecret)
	good := func(id string) []string { return signedHeaders(t, secret, id, time.Now(), body) }
	with := func(i int, value string) []string {
		h := good("msg_x")
		h[i] = value
		return h
	}
	for name, headers := range map[string][]string{
		"no signature":        nil,
		"another secret":      signedHeaders(t, []byte("x"), "msg_x", time.Now(), body),
		"an empty secret":     signedHeaders(t, nil, "msg_x", time.Now(), body),
		"too old":             signedHeaders(t, secret, "msg_x", time.Now().Add(-6*time.Minute), body),
		"too new":             signedHeaders(t, secret, "msg_x", time.Now().Add(6*time.Minute), body),
		"another body":        signedHeaders(t, secret, "msg_x", time.Now(), body+" "),
		"another id":          with(1, "msg_y"),
		"another time":        with(3, strconv.FormatInt(time.Now().Unix()-10, 10)),
		"a time that is none": with(3, "now"),
		"a cut signature":     with(5, "v1,"),
		"another version":     with(5, strings.Replace(good("msg_x")[5], "v1,", "v2,", 1)),
		"garbage":             with(5, strings.Repeat(", ,v1,,", 100)),
	} {
		assertRefused(t, g.post("/webhooks/whop", body, headers...), 401, "bad_signature")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	assert.Equal(t, 1, strings.Count(g.logs.String(), "check WHOP_WEBHOOK_SECRET"), "once a minute")
	assert.Equal(t, 1, strings.Count(g.logs.String(), "it was made through v2 or v5"))
	sign := func(body string) []string {
		return signedHeaders(t, secret, "msg_"+strconv.Itoa(len(body)), time.Now(), body)
	}
	for _, body := range []string{``, `null`, `[]`, `{"type":"membership.deactivated"}`, `{"type":"membership.deactivated","data":{"id":7}}`, `{"type":"membership.deactivated","data":{"id":""}}`, `{"type":1}`} {
		a := g.post("/webhooks/whop", body, sign(body)...)
		assert.Equal(t, 400, a.status, body)
	}
	long := `{"x":"` + strings.Repeat("x", 256<<10) + `"}`
	assertRefused(t, g.post("/webhooks/whop", long, sign(long)...), 413, "too_large")
	assert.Equal(t, 405, g.get("/webhooks/whop").status)
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, 2, sim.calls("v1.get")-1, "the cache was not touched") // two of the binding, one before it
}

func TestWebhooksThatComeAgainOrMeanNothing(t *testing.T) {
	key := testKey("again")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	body := `{"type":"membership.deactivated","data":{"id":"` + sim.membership(key).ID + `"}}`
	headers := signedHeaders(t, []byte(testSecret), "msg_1", time.Now(), body)
	calls := func() int { return sim.calls("v1.get") }
	require.Equal(t, 204, g.post("/webhooks/whop", body, headers...).status)
	before := calls()
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, before+1, calls())
	require.Equal(t, 204, g.post("/webhooks/whop", body, headers...).status, "taken, and not acted on")
	other := `{"type":"payment.succeeded","data":{"id":"` + sim.membership(key).ID + `"}}`
	require.Equal(t, 204, g.post("/webhooks/whop", other, signedHeaders(t, []byte(testSecret), "msg_2", time.Now(), other)...).status)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, before+1, calls(), "still cached")
	legacy := `{"action":"membership.went_invalid","data":{"id":"` + sim.membership(key).ID + `"}}`
	require.Equal(t, 204, g.post("/webhooks/whop", legacy, signedHeaders(t, []byte(testSecret), "msg_3", time.Now(), legacy)...).status)
	require.Equal(t, 201, g.validate(key, machine(1)).status)
	assert.Equal(t, before+2, calls())
}

func TestNoSecretNoWebhooks(t *testing.T) {
	g := startGatewayWith(t, startSim(t, nil), map[string]string{"WHOP_API_KEY": testAPIKey})
	a := g.post("/webhooks/whop", `{}`, signedHeaders(t, nil, "msg_1", time.Now(), `{}`)...)
	assert.Equal(t, 404, a.status)
}
