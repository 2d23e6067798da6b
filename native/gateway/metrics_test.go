package main

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/shared/version"
)

func TestMetricsOfASingleGateway(t *testing.T) {
	dir := t.TempDir()
	end := time.Now().Add(48 * time.Hour)
	writeCertificateUntil(t, dir, "license.example.com", end)
	g := startGateway(t, startSim(t, nil), "--metrics-listen", "127.0.0.1:0", "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	told := regexp.MustCompile(`"msg":"serving metrics","url":"http://([^/]+)/metrics"`).FindStringSubmatch(g.logs.String())
	require.Len(t, told, 2, g.logs.String())
	addr := told[1]
	assert.Equal(t, "1", metric(t, addr, `whop_license_build_info{goversion="`+runtime.Version()+`",version="`+version.Version+`"}`))
	seconds, err := strconv.ParseFloat(metric(t, addr, "whop_license_certificate_expiry_seconds"), 64)
	require.NoError(t, err)
	assert.InDelta(t, end.Unix(), seconds, 1)
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.NotContains(t, string(b), "redis_up")
}

// The time to answer is that of checks for which Whop was asked. What costs no time
// is counted, and not in it.
func TestLatencyIsOfWhatWhopWasAsked(t *testing.T) {
	t.Parallel()
	key, paused, addr := testKey("timed"), testKey("paused"), gatewaytest.FreeAddress(t)
	sim := startSim(t, []fields{boundTo(key, 1), licensed(paused, fields{"fault": "429", "fault_retry_after": "90"})})
	g := startGateway(t, sim, "--metrics-listen", addr, "--client-limit", "3", "--trusted-proxies", "127.0.0.1")
	timed := func() string { return metric(t, addr, "whop_license_validation_seconds_count") }
	outcome := func(name string) string { return metric(t, addr, `whop_license_validations_total{outcome="`+name+`"}`) }
	ask := func(from, key string) int { return g.validateFrom(from, key).status }

	require.Equal(t, 201, ask("203.0.113.1", key))
	assert.Equal(t, "1", timed(), "a look-up")
	require.Equal(t, 201, ask("203.0.113.1", key))
	require.Equal(t, 404, ask("203.0.113.1", "no/key"))
	require.Equal(t, 400, g.post(validatePath(key), `{`).status)
	require.Equal(t, 400, g.post(validatePath(key), `{"metadata":{"x":"`+strings.Repeat("x", 70<<10)+`"}}`).status)
	assert.Equal(t, "1", timed(), "the cache, a key that can't be one, and what is no request")

	require.Equal(t, 503, ask("203.0.113.2", paused))
	assert.Equal(t, "2", timed(), "Whop was asked, and said 429")
	require.Equal(t, 503, ask("203.0.113.2", paused))
	assert.Equal(t, "2", timed(), "Whop is left alone")
	assert.Equal(t, "1", metric(t, addr, `whop_license_upstream_held_back_total{operation="look_up",reason="paused"}`))
	assert.Equal(t, "1", metric(t, addr, `whop_license_upstream_seconds_count{operation="look_up",result="rate_limited"}`))

	for n := range 4 {
		ask("203.0.113.3", testKey(fmt.Sprint("unknown", n)))
	}
	assert.NotEqual(t, "0", outcome("rate_limited"))
	counted, err := strconv.Atoi(outcome("not_found"))
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprint(2+counted-1), timed(), "429 is not timed; a look-up of an unknown key is, and no/key was none")
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.NotRegexp(t, `whop_license_upstream_seconds_count\{.*result="(paused|over_budget|circuit_open)"`, string(b))
}

// So are those that the quota or the circuit holds back.
func TestHeldBackCallsAreNotTimed(t *testing.T) {
	t.Parallel()
	var licenses []fields
	for n := range 20 {
		licenses = append(licenses, boundTo(testKey(fmt.Sprint("many", n)), 1))
	}
	addr := gatewaytest.FreeAddress(t)
	g := startGateway(t, startSim(t, licenses), "--metrics-listen", addr, "--upstream-budget", "10")
	answered := map[int]int{}
	for n := range licenses {
		answered[g.validate(testKey(fmt.Sprint("many", n)), machine(1)).status]++
	}
	require.Positive(t, answered[503])
	assert.Equal(t, fmt.Sprint(answered[201]), metric(t, addr, "whop_license_validation_seconds_count"))
	assert.Equal(t, fmt.Sprint(answered[503]), metric(t, addr, `whop_license_upstream_held_back_total{operation="look_up",reason="over_budget"}`))
	assert.Equal(t, "3", metric(t, addr, `whop_license_quota{operation="look_up"}`))
}

func TestProxyProblemsAreCounted(t *testing.T) {
	t.Parallel()
	problem := func(addr, kind string) string {
		return metric(t, addr, `whop_license_proxy_problems_total{problem="`+kind+`"}`)
	}
	key := testKey("proxied")
	sim := startSim(t, []fields{boundTo(key, 1)})
	addr := gatewaytest.FreeAddress(t)
	trusting := startGateway(t, sim, "--metrics-listen", addr, "--trusted-proxies", "127.0.0.1")
	trusting.validateFrom("203.0.113.1", key)
	assert.Equal(t, "0 0", problem(addr, "no_header")+" "+problem(addr, "not_trusted"))
	trusting.validate(key, machine(1))
	trusting.validate(key, machine(1))
	assert.Equal(t, "2 0", problem(addr, "no_header")+" "+problem(addr, "not_trusted"))
	addr = gatewaytest.FreeAddress(t)
	startGateway(t, sim, "--metrics-listen", addr).validateFrom("203.0.113.1", key)
	assert.Equal(t, "0 1", problem(addr, "no_header")+" "+problem(addr, "not_trusted"))
}
