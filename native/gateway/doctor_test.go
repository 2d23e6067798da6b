//go:build unix

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func TestDoctorFindsNothingWrong(t *testing.T) {
	key := testKey("patient")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1), "vip": true}})}, "--permissions", "member:basic:read,member:email:read,member:manage,access_pass:basic:read")
	signing := filepath.Join(t.TempDir(), "signing-key.json")
	require.NoError(t, keygen(signing, &gatewaytest.Buffer{}))
	r := gatewaytest.StartRedis(t)
	args := []string{"--signing-key", signing, "--allowed-origin", "app://my-app", "--allowed-origin", "https://app.example.com", "--redis-url", r.URL()}
	g := startGateway(t, sim, args...)
	code, out, errOut := operate(t, sim, []string{"doctor", "--public-url", g.url + "/", "--license-key", key}, args...)
	assert.Zero(t, code, out)
	assert.Empty(t, errOut)
	assert.Equal(t, strings.ReplaceAll(`good   settings      they are valid
good   files         no file with a secret is open to every user
good   clock         it is accurate
good   look-up       Whop accepts the API key and the version 2025-01-01
good   binding       the API key may change memberships
good   product       licenses of prod_sim ("Simulated product") are accepted
good   Redis         writes, scripts and messages work, and nothing is evicted
skip   certificate   the gateway serves plain HTTP, so a proxy in front of it must serve HTTPS
good   gateway       URL refuses a made-up license key, as it should
good   signing key   the gateway publishes it
good   origin        app://my-app may call the gateway
good   origin        https://app.example.com may call the gateway
good   webhook       the gateway accepts webhooks signed with WHOP_WEBHOOK_SECRET; check in Whop's dashboard that Whop uses the same secret
good   license       a check answers valid on a machine that has a place, metadata_mismatch on any other: every place is taken by another machine: release one, or let the customer use Reset Key
note   metadata      "vip" does not look like a machine id; if it is yours, set --seller-metadata vip
good   metadata      its machines are stored as HWID, so the app must send exactly that
`, "URL", g.url), out)
	assert.Equal(t, map[string]any{"HWID": machine(1), "vip": true}, sim.membership(key).Metadata, "and nothing was written")
}

func TestDoctorFindsWhatIsWrongWithWhop(t *testing.T) {
	for _, c := range []struct {
		sim, args []string
		says      string
	}{
		{[]string{"--permissions", "none"}, nil, `WRONG  look-up       Whop forbids a look-up.*member:basic:read`},
		{[]string{"--permissions", "member:basic:read,member:email:read"}, nil, `WRONG  binding       Whop forbids binding a license.*member:manage`},
		{nil, []string{"--api-version-date", "2026-03-01"}, `WRONG  look-up       Whop does not have this version of its API; set --api-version-date to one of 2025-01-01, .*2026-11-17\n`},
		{[]string{"--api-key", "another"}, nil, `WRONG  look-up       Whop refuses the API key`},
	} {
		sim := startSim(t, nil, c.sim...)
		code, out, _ := operate(t, sim, []string{"doctor"}, c.args...)
		assert.Equal(t, 1, code)
		assert.Regexp(t, c.says, out)
		assert.Equal(t, 1, strings.Count(out, "WRONG"), out)
		assert.Contains(t, out, "skip   gateway       not tested; give its address with --public-url")
	}
}

func TestDoctorLooksAtTheProducts(t *testing.T) {
	memberships := []fields{
		licensed(testKey("mine"), fields{"product": "prod_mine", "product_title": "Mine"}),
		licensed(testKey("theirs"), fields{"product": "prod_theirs", "product_title": "Theirs", "company": "biz_2"}),
	}
	theirs := `WRONG  product       prod_theirs ("Theirs") belongs to the account biz_2, but the API key to biz_sim: set --product to a product of biz_sim
`
	for permission, says := range map[string]string{
		"": `good   product       licenses of prod_sim ("Simulated product") are accepted
` + theirs + `WRONG  product       Whop has no product prod_unknown; set --product to an id from the Whop dashboard
note   products      can't list the account's other products, which doesn't affect checks: Whop does not let this API key list products; to see them here, give it the permission access_pass:basic:read (Whop says: forbidden: The API key lacks the permission access_pass:basic:read)
`,
		",access_pass:basic:read": `good   product       licenses of prod_sim ("Simulated product") are accepted
` + theirs + `WRONG  product       Whop has no product prod_unknown; biz_sim sells prod_mine ("Mine"), prod_sim ("Simulated product"): set --product to one of those
note   products      biz_sim also sells prod_mine ("Mine"); the gateway refuses their licenses unless --product lists them
`,
	} {
		sim := startSim(t, memberships, "--permissions", "member:basic:read,member:email:read,member:manage"+permission)
		for _, version := range []string{"2025-01-01", "2026-11-17"} {
			code, out, _ := operate(t, sim, []string{"doctor"}, "--product", "prod_theirs", "--product", "prod_unknown", "--api-version-date", version)
			assert.Equal(t, 1, code)
			assert.Contains(t, out, says)
		}
	}
}

// Doctor recognizes a gateway that was started with other settings by its
// answers.
func TestDoctorFindsWhatIsWrongWithTheGateway(t *testing.T) {
	key := testKey("ill")
	sim := startSim(t, []fields{licensed(key, fields{"product": "prod_2", "metadata": fields{"HWID_2": machine(1)}})})
	dir := t.TempDir()
	signing := filepath.Join(dir, "signing-key.json")
	require.NoError(t, keygen(signing, &gatewaytest.Buffer{}))
	require.NoError(t, os.Chmod(signing, 0o644))
	g := startGatewayWith(t, sim, map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_WEBHOOK_SECRET": "another-PRIVATE"})
	r := gatewaytest.StartRedis(t)
	require.NoError(t, r.Client().ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	code, out, _ := operate(t, sim, []string{"doctor", "--public-url", g.url, "--license-key", key}, "--signing-key", signing, "--allowed-origin", "app://my-app", "--redis-url", r.URL())
	assert.Equal(t, 1, code)
	for _, says := range []string{
		"WRONG  files         every user of this machine can open " + signing + " (mode 0644); run: chmod o= ",
		"WRONG  Redis         its maxmemory-policy is allkeys-lru",
		"WRONG  signing key   the gateway does not publish " + signing,
		"WRONG  origin        app://my-app may not call the gateway",
		"WRONG  webhook       the gateway rejects a webhook signed with",
		"WRONG  license       a check answers not_found: the license belongs to prod_2",
		"WRONG  metadata      place 2 is taken, but --max-machines is 1: set --max-machines 2",
	} {
		assert.Contains(t, out, says)
	}
	assert.Equal(t, 7, strings.Count(out, "WRONG"), out)

	g.stop()
	code, out, _ = operate(t, sim, []string{"doctor", "--public-url", g.url})
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "WRONG  gateway       "+g.url+" can't be reached")
	code, out, _ = operate(t, sim, []string{"doctor", "--public-url", sim.url})
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "instead of 404")
	code, _, errOut := operate(t, sim, []string{"doctor", "--public-url", "http://license.example.com"})
	assert.Equal(t, badSettings, code)
	assert.Contains(t, errOut, "--public-url")
}

// Whoever answers in Whop's place, the doctor says where to look.
func TestDoctorAtAStrangersAddress(t *testing.T) {
	for answer, says := range map[string]string{
		"":              "WRONG  look-up       Whop can't be reached; see --upstream-url, and whether a firewall or a proxy (HTTPS_PROXY) is in the way (",
		"<html></html>": "WRONG  look-up       what answers is not as Whop answers; see --upstream-url, and whether a firewall or a proxy (HTTPS_PROXY) is in the way (",
	} {
		stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if answer == "" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, answer)
		}))
		code, out, _ := operate(t, &simulator{url: stranger.URL}, []string{"doctor"})
		stranger.Close()
		assert.Equal(t, 1, code)
		assert.Contains(t, out, says)
	}
}

func TestDoctorFindsWhatIsWrongWithCertificates(t *testing.T) {
	sim := startSim(t, nil)
	for notAfter, says := range map[time.Duration]string{
		48*time.Hour + time.Minute:    "WRONG  certificate   --tls-cert: expires in 2 days",
		90*24*time.Hour + time.Minute: "good   certificate   --tls-cert: valid for 90 more days",
		-time.Minute:                  "WRONG  certificate   --tls-cert: the certificate expired on",
	} {
		dir := t.TempDir()
		writeCertificateUntil(t, dir, "license.example.com", time.Now().Add(notAfter))
		args := []string{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem")}
		g := startGateway(t, sim, args...)
		code, out, _ := operate(t, sim, []string{"doctor", "--public-url", g.url}, args...)
		assert.Equal(t, 1, code, "no trusted CA signed it")
		assert.Contains(t, out, says)
		assert.Regexp(t, `WRONG  gateway       .* can't be reached: .*certificate`, out)
		_, out, _ = operate(t, sim, []string{"doctor", "--public-url", "https://localhost:1"}, args...)
		assert.Contains(t, out, "WRONG  certificate   --tls-cert: x509: certificate is valid for")
	}
}

func TestDoctorFindsAWrongClock(t *testing.T) {
	sim := startSim(t, nil)
	early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		http.Redirect(w, r, sim.url, http.StatusFound)
	}))
	defer early.Close()
	code, out, _ := operate(t, &simulator{t: t, url: early.URL}, []string{"doctor"})
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "WRONG  clock         this machine's clock is off by 1h0m")
}

func TestDoctorWithSettingsThatCantWork(t *testing.T) {
	code, out, _ := operate(t, startSim(t, nil), []string{"doctor", "--redis-url", "redis://:PRIVATE@a:b"}, "--max-machines", "0")
	assert.Equal(t, 1, code)
	assert.Equal(t, 2, len(regexp.MustCompile(`(?m)^WRONG  settings      --(max-machines|redis-url): `).FindAllString(out, -1)), out)
	assert.NotContains(t, out, "good")
}
