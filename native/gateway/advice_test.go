package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/logtext"
	"github.com/whop-license/whop-license/shared/lease"
)

func TestTheVersionIsAlwaysSent(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{{nil, "2025-01-01"}, {[]string{"--api-version-date", "2026-08-05-1"}, "2026-08-05-1"}} {
		whop := startFake(t)
		whop.stores(func(m json.RawMessage) string { return string(m) })
		g := startGateway(t, whop.simulator, c.args...)
		require.Equal(t, 201, g.validate(testKey("version"), machine(1)).status)
		assert.Equal(t, 1, whop.written())
		assert.Equal(t, map[string]bool{c.want: true}, whop.versionsSeen(), "of look-ups and writes")
	}
}

func TestEveryShapeIsAGoodLicense(t *testing.T) {
	for version, body := range gatewaytest.Shapes {
		g := startGateway(t, startFakeWith(t, body).simulator, "--product", "prod_1")
		assert.Equal(t, 201, g.post(validatePath("K"), `{"metadata":{"HWID":"a"}}`).status, version)
		assertRefused(t, g.post(validatePath("K"), `{"metadata":{"HWID":"b"}}`), 400, "metadata_mismatch")
	}
}

func TestAnUnknownVersionIsTheSellersFault(t *testing.T) {
	whop := startFake(t)
	whop.answer(400, `{"error":{"type":"invalid_request","message":"Unknown Api-Version-Date. Supported: 2025-01-01, 2026-08-05-1"}}`)
	g := startGateway(t, whop.simulator, "--api-version-date", "2031-01-01")
	for range 3 {
		assertRefused(t, g.validate(testKey("version"), machine(1)), 503, "unavailable")
	}
	assert.Equal(t, 1, g.count(`"level":"ERROR"`, "--api-version-date", `"version":"2031-01-01"`, `"versions":["2025-01-01","2026-08-05-1"]`))
}

// An answer that can't be trusted leads to no verdict and no write.
func TestAnswersThatCantBeTrusted(t *testing.T) {
	for says, body := range map[string]string{
		"metadata is absent":        ourLicense("metadata", ``),
		"metadata is array":         ourLicense("metadata", `[]`),
		"status is absent":          ourLicense("status", ``),
		"product nor product_id":    ourLicense("product", ``),
		"license_key is absent":     ourLicense("license_key", ``),
		"id is number":              ourLicense("id", `1`),
		"metadata is given twice":   strings.TrimSuffix(ourLicense(), "}") + `,"metadata":{}}`,
		"another membership":        ourLicense("license_key", `"OTHER"`),
		"not a JSON object":         gatewaytest.BlockPage,
		"undocumented status":       ourLicense("status", `"grace_period"`),
		"an undocumented status":    ourLicense("status", `"ACTIVE"`),
		"a body that is not Whop's": "403",
	} {
		whop := startFakeWith(t, body)
		if body == "403" {
			whop.answer(403, gatewaytest.BlockPage)
		}
		g := startGateway(t, whop.simulator)
		for range 2 {
			assertRefused(t, g.validate(testKey("odd"), machine(1)), 503, "unavailable")
		}
		assert.True(t, g.logged("no verdict", says), "%s: %s", says, g.logs)
		assert.Equal(t, 1, g.count(`"level":"ERROR"`), "%s: %s", says, g.logs)
		assert.Zero(t, whop.written(), says)
	}
}

func TestUnreadableDisplayedMembersAreLoggedOnce(t *testing.T) {
	g := startGateway(t, startFakeWith(t, ourLicense("manage_url", `{}`, "quantity", `"1"`, "metadata", `{"HWID":"`+machine(1)+`"}`)).simulator, "--cache-ttl", "0")
	for n := range 3 {
		a := g.validate(testKey(fmt.Sprint("odd", n)), machine(1))
		require.Equal(t, 201, a.status, a.body)
		assert.Contains(t, a.body, `"manage_url":null`)
	}
	assert.Equal(t, 1, g.count(`"level":"WARN"`, `"member":"manage_url"`, `"is":"object"`))
	assert.Equal(t, 1, g.count(`"level":"WARN"`, `"member":"quantity"`, `"is":"string"`))
}

// A lease ends with the period if a renewal is not certain, and soon if the
// period's end can't be read.
func TestLeasesOfMembershipsInDoubt(t *testing.T) {
	file, public := newKeyFile(t)
	end := time.Now().Add(48 * time.Hour)
	for name, c := range map[string]struct {
		members []string
		last    time.Time
	}{
		"not known whether it is renewed": {[]string{"cancel_at_period_end", ``, "renewal_period_end", fmt.Sprint(end.Unix())}, end},
		"nor when the period ends":        {[]string{"cancel_at_period_end", ``, "renewal_period_end", `"soon"`}, time.Now()},
	} {
		g := startGateway(t, startFakeWith(t, ourLicense(append(c.members, "metadata", `{}`)...)).simulator, "--signing-key", file)
		token := askForLease(t, g, "K", `{"metadata":{},"nonce":"`+testNonce+`"}`)
		claims, err := lease.Verify(token, []lease.PublicKey{public}, expected("K", nil), testNonce)
		require.NoError(t, err)
		assert.WithinDuration(t, c.last.Add(check.EndAllowance), time.Unix(claims.StandsInUntil(), 0), time.Minute, name)
		assert.Equal(t, 1, g.count(`"level":"WARN"`, "cancel_at_period_end", "leases end"), name)
	}
}

func TestRefusalsCausedBySettingsAreLogged(t *testing.T) {
	g := startGateway(t, startFakeWith(t, ourLicense("product", `"prod_other"`)).simulator)
	for range 2 {
		assertRefused(t, g.validate(testKey("other"), machine(1)), 404, "not_found")
	}
	assert.Equal(t, 1, g.count("--product does not list", `"product":"prod_other"`))

	g = startGateway(t, startFakeWith(t, ourLicense("status", `"past_due"`)).simulator, "--entitled-status", "active")
	for range 2 {
		assertRefused(t, g.validate(testKey("due"), machine(1)), 403, "license_inactive")
	}
	assert.Equal(t, 1, g.count("--entitled-status does not list", `"status":"past_due"`))

	g = startGateway(t, startFakeWith(t, ourLicense("status", `"grace_period"`, "metadata", `null`)).simulator, "--entitled-status", "active,grace_period")
	assert.Equal(t, 201, g.post(validatePath("K"), `{"metadata":{}}`).status, "the seller says what it means")

	g = startGateway(t, startFakeWith(t, ourLicense("status", `"x\n`+strings.Repeat("y", 1000)+`"`)).simulator)
	assert.Equal(t, 503, g.validate(testKey("strange"), machine(1)).status)
	assert.Equal(t, 1, g.count(`"level":"ERROR"`, `"status":"x yyyy`))
	assert.False(t, g.logged(strings.Repeat("y", logtext.MaxName)))
}

func TestNamesThatDifferAreLogged(t *testing.T) {
	many := []string{`"HWID":"` + machine(1) + `"`}
	for i := range 30 {
		many = append(many, fmt.Sprintf(`"n%02d\n\u202e%s":1`, i, strings.Repeat("z", 80)))
	}
	g := startGateway(t, startFakeWith(t, ourLicense("metadata", `{"machine_id":"`+machine(1)+`","vip":{"note":"`+personalMark+`"}}`)).simulator)
	for _, sent := range []string{`"HWID":"` + machine(1) + `"`, `"HWID":"` + machine(2) + `"`} {
		assertRefused(t, g.post(validatePath(testKey("names")), `{"metadata":{`+sent+`}}`), 400, "metadata_mismatch")
	}
	assert.Equal(t, 1, g.count(`"level":"WARN"`, "--seller-metadata", `"stored":["machine_id","vip"]`, `"sent":["HWID"]`), g.logs.String())

	g = startGateway(t, startFakeWith(t, ourLicense("metadata", `{"machine_id":"x"}`)).simulator)
	assertRefused(t, g.post(validatePath(testKey("names")), `{"metadata":{`+strings.Join(many, ",")+`}}`), 400, "metadata_mismatch")
	assert.Equal(t, 1, g.count("--seller-metadata", `"…"]`))
	assert.False(t, g.logged(strings.Repeat("z", logtext.MaxName)))
	assert.False(t, g.logged("n20"))

	g = startGateway(t, startFakeWith(t, ourLicense("metadata", `{"HWID":"x"}`)).simulator)
	assertRefused(t, g.validate(testKey("names"), machine(1)), 400, "metadata_mismatch")
	assert.Zero(t, g.count("--seller-metadata"), "another machine is no matter of names")
}

// An empty place is bound as if nothing were stored.
func TestEmptyPlacesAreBound(t *testing.T) {
	for _, empty := range []string{`{"HWID":null}`, `{"HWID":""}`} {
		whop := startFake(t)
		stored, last := empty, make(chan string, 1)
		whop.lookUp = func(string) (int, string) { return 200, ourLicense("metadata", stored) }
		whop.write = func(m json.RawMessage) (int, string) { stored = string(m); last <- stored; return 200, `{}` }
		g := startGateway(t, whop.simulator)
		assert.Equal(t, 201, g.validate(testKey("empty"), machine(1)).status, empty)
		assertRefused(t, g.validate(testKey("empty"), machine(2)), 400, "metadata_mismatch")
		assert.JSONEq(t, `{"HWID":"`+machine(1)+`"}`, <-last)
	}
}

// If Whop alters what is written, the machine that was bound is not refused as
// another machine.
func TestBindingsThatComeBackAltered(t *testing.T) {
	long := strings.Repeat("0123456789", 3)
	for name, c := range map[string]struct {
		sent   string
		change func(string) string
		says   string
	}{
		"a number as text":  {`{"HWID":219902325555}`, func(s string) string { return strings.Replace(s, `219902325555`, `"219902325555"`, 1) }, "HWID: a number became a string"},
		"a number rounded":  {`{"HWID":219902325555}`, func(s string) string { return strings.Replace(s, `219902325555`, `2.19902325555e11`, 1) }, "HWID: its number was changed"},
		"a boolean as text": {`{"HWID":"x","PRO":true}`, func(s string) string { return strings.Replace(s, `true`, `"true"`, 1) }, "PRO: a boolean became a string"},
		"trimmed":           {`{"HWID":" x "}`, func(s string) string { return strings.ReplaceAll(s, ` `, ``) }, "HWID: its string was changed"},
		"lowered":           {`{"HWID":"ABC"}`, func(s string) string { return strings.Replace(s, `ABC`, `abc`, 1) }, "HWID: its string was changed"},
		"cut":               {`{"HWID":"` + long + `"}`, func(s string) string { return strings.Replace(s, long, long[:20], 1) }, "HWID: its string was changed"},
		"names lowered":     {`{"HWID":"x"}`, strings.ToLower, "HWID: the name became hwid"},
	} {
		whop := startFake(t)
		whop.stores(func(m json.RawMessage) string { return c.change(string(m)) })
		g := startGateway(t, whop.simulator)
		key := testKey("altered")
		for range 3 {
			assertRefused(t, g.post(validatePath(key), `{"metadata":`+c.sent+`}`), 503, "unavailable")
		}
		assert.Equal(t, 1, g.count(`"level":"ERROR"`, c.says), "%s: %s", name, g.logs)
		assert.Zero(t, g.count("--seller-metadata"), "%s: nobody was refused yet", name)
		assert.Equal(t, 1, whop.written(), name)
		assertRefused(t, g.validate(key, machine(2)), 400, "metadata_mismatch")
		assertRefused(t, g.post(validatePath(key), `{"metadata":`+c.sent+`}`), 503, "unavailable")
	}
}

// A binding that another machine overwrote is not an alteration.
func TestABindingThatAnotherReplacedIsAMismatch(t *testing.T) {
	whop := startFake(t)
	whop.stores(func(json.RawMessage) string { return `{"HWID":"` + machine(2) + `"}` })
	g := startGateway(t, whop.simulator)
	assertRefused(t, g.validate(testKey("replaced"), machine(1)), 400, "metadata_mismatch")
	assert.Zero(t, g.count(`"level":"ERROR"`))
}

func TestWritesThatTakeNoEffect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status       int
		body, logged string
		code         int
	}{
		"ignored":            {200, `{}`, "does not store it", 503},
		"not found":          {404, `{"error":{"message":"No such Membership found"}}`, "404 to a write", 503},
		"not found, a route": {404, `{"error":{"message":"No such route"}}`, "not about the membership", 503},
		"a portal's page":    {200, gatewaytest.BlockPage, "a body that is not Whop's", 503},
		"forbidden":          {403, `{"error":{"message":"missing member:manage for ` + personalMark + `@example.com"}}`, `"whop_says":"missing member:manage for [address]"`, 502},
		"blocked":            {403, gatewaytest.BlockPage, "a firewall or a proxy", 503},
		"unprocessable":      {422, `{"error":{"message":"metadata is too long"}}`, `"whop_says":"metadata is too long"`, 502},
	} {
		whop := startFakeWith(t, ourLicense("metadata", `{}`))
		whop.write = func(json.RawMessage) (int, string) { return c.status, c.body }
		g := startGateway(t, whop.simulator)
		assert.Equal(t, c.code, g.validate(testKey("write"), machine(1)).status, name)
		assert.Equal(t, 1, g.count(`"level":"ERROR"`, c.logged), "%s: %s", name, g.logs)
	}
}

// The log distinguishes a refusal of one license from one of every call, and quotes Whop.
func TestRefusalsByWhopAreLoggedWithItsReason(t *testing.T) {
	whop := startFake(t)
	good := ourLicense("metadata", `{}`)
	whop.lookUp = func(id string) (int, string) {
		if strings.Contains(id, "bad") {
			return 403, `{"error":{"message":"You have no access to this membership: ` + id + `"}}`
		}
		return 200, good
	}
	g := startGateway(t, whop.simulator)
	ask := func(key string) answer { return g.post(validatePath(testKey(key)), `{"metadata":{}}`) }
	require.Equal(t, 201, ask("good").status)
	for range 2 {
		assertRefused(t, ask("bad"), 502, "upstream_refused")
	}
	assert.Equal(t, 1, g.count(`"level":"WARN"`, `"concerns":"this license only"`, `"whop_says":"You have no access to this membership: […]"`), g.logs.String())

	whop.answer(403, `{"error":{"message":"Requests are not allowed from this IP"}}`)
	for n := range 3 { // so many in a row show that all are refused
		assertRefused(t, ask(fmt.Sprint("n", n)), 502, "upstream_refused")
	}
	assert.Equal(t, 1, g.count(`"level":"ERROR"`, `"concerns":"every call"`, "not allowed from this IP"), g.logs.String())
}

func TestA404AboutSomethingElseIsNoUnknownKey(t *testing.T) {
	whop := startFake(t)
	whop.answer(404, `{"error":{"type":"not_found","message":"No such route: GET /api/v1/memberships/x"}}`)
	g := startGateway(t, whop.simulator)
	assertRefused(t, g.validate(testKey("route"), machine(1)), 503, "unavailable")
	assert.True(t, g.logged(`"level":"ERROR"`, "--upstream-url", "--api-version-date", "not_found: No such route: GET"))
	whop.answer(404, `{"error":{"type":"not_found","message":"No such Membership found with the provided ID: x"}}`)
	assertRefused(t, g.validate(testKey("route"), machine(1)), 404, "not_found")
}
