package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func corsHeaders(o observation) map[string]string {
	found := map[string]string{}
	for name := range o.header {
		if strings.HasPrefix(name, "Access-Control-") {
			found[strings.TrimPrefix(name, "Access-Control-")] = o.header.Get(name)
		}
	}
	return found
}

func (tg *target) preflight(origin, method, path string) observation {
	tg.t.Helper()
	return tg.bare("OPTIONS", path, "", "Origin: "+origin, "Access-Control-Request-Method: "+method,
		"Access-Control-Request-Headers: accept,authorization,content-type")
}

func TestNoCORSUnlessAskedFor(t *testing.T) {
	sim := start(t, full)
	o := sim.preflight("http://page.example", "POST", validatePath("K"))
	assert.Equal(t, 405, o.status)
	assert.Empty(t, corsHeaders(o))
	assert.Equal(t, opPreflight, sim.last().Operation)
	o = sim.call("POST", validatePath("K"), `{"metadata":{}}`, "Origin: http://page.example")
	assert.Equal(t, 201, o.status)
	assert.Empty(t, corsHeaders(o))
	assert.Empty(t, o.header.Get("Vary"))
}

func TestCORS(t *testing.T) {
	const page, other = "http://127.0.0.1:8080", "http://localhost:8080"
	sim := start(t, `[{"license_key":"K"},{"license_key":"limited","fault":"429"},{"license_key":"cut","fault":"truncated"},{"license_key":"away","fault":"redirect"}]`,
		"--cors-origin", page, "--cors-origin", "null", "--cors-origin", "https://b.example")
	for _, origin := range []string{page, "null", "https://b.example"} {
		o := sim.preflight(origin, "POST", validatePath("K"))
		assert.Equal(t, 204, o.status)
		assert.Equal(t, map[string]string{
			"Allow-Origin": origin, "Allow-Methods": "POST", "Allow-Headers": "accept,authorization,content-type", "Max-Age": "600",
		}, corsHeaders(o))
		assert.Equal(t, "GET", corsHeaders(sim.preflight(origin, "GET", "/api/v1/memberships/K"))["Allow-Methods"])
		assert.Empty(t, corsHeaders(sim.preflight(origin, "PATCH", "/api/v1/memberships/mem_1")), "a page never writes by v1")

		for _, key := range []string{"K", "nope", "limited", "cut", "away"} {
			o = sim.call("POST", validatePath(key), `{"metadata":{}}`, "Origin: "+origin)
			assert.Equal(t, map[string]string{"Allow-Origin": origin, "Expose-Headers": "Retry-After"}, corsHeaders(o), key)
		}
		assert.NotEmpty(t, corsHeaders(sim.bare("GET", "/api/redirected/v2.validate/K", "", "Origin: "+origin)))
	}
	for _, origin := range []string{other, page + "0", "https://page.example"} {
		assert.Empty(t, corsHeaders(sim.preflight(origin, "POST", validatePath("K"))))
		assert.Empty(t, corsHeaders(sim.call("POST", validatePath("K"), `{"metadata":{}}`, "Origin: "+origin)))
	}
	assert.Empty(t, corsHeaders(sim.bare("GET", "/sim/stats", "", "Origin: "+page)), "control is not for pages")
	assert.Empty(t, corsHeaders(sim.preflight(page, "POST", "/sim/outage")))
}

func TestCORSForAll(t *testing.T) {
	sim := start(t, full, "--cors-origin", "*")
	o := sim.call("POST", validatePath("K"), `{"metadata":{}}`, "Origin: http://any.example")
	assert.Equal(t, "*", corsHeaders(o)["Allow-Origin"])
	assert.NotContains(t, corsHeaders(o), "Allow-Credentials")
}
