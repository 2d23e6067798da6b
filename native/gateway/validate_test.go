package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFirstUseBindsAndOthersAreRefused(t *testing.T) {
	key := testKey("first")
	for _, version := range []string{"", "2026-07-20"} {
		for _, semantics := range []string{"merge", "replace"} {
			t.Run("version "+version+", "+semantics, func(t *testing.T) {
				sim := startSim(t, []fields{licensed(key)}, "--patch-semantics", semantics)
				var args []string
				if version != "" {
					args = []string{"--api-version-date", version}
				}
				g := startGateway(t, sim, args...)
				assert.Equal(t, http.StatusCreated, g.validate(key, machine(1)).status)
				assert.Equal(t, map[string]any{"HWID": machine(1)}, sim.membership(key).Metadata)
				assertRefused(t, g.validate(key, machine(2)), 400, "metadata_mismatch")
				assertRefused(t, g.validate(key, machine(2)), 400, "metadata_mismatch")
				assert.Equal(t, http.StatusCreated, g.validate(key, machine(1)).status)
				assert.Equal(t, map[string]any{"HWID": machine(1)}, sim.membership(key).Metadata)
				assert.Equal(t, 1, sim.calls("v1.patch"))
			})
		}
	}
}

func TestSuccessHasV2sMembersAndNoOthers(t *testing.T) {
	key := testKey("shape")
	stored := fields{
		"metadata": fields{"HWID": machine(1)}, "status": "canceling", "cancel_at_period_end": true,
		"created_at": 1735689600, "renewal_period_start": 1767225600, "renewal_period_end": "2027-01-01T00:00:00Z",
		"plan": "plan_1", "manage_url": "https://whop.com/manage/1",
	}
	for _, version := range []string{"2025-01-01", "2026-07-20"} {
		t.Run(version, func(t *testing.T) {
			sim := startSim(t, []fields{licensed(key, stored)})
			g := startGateway(t, sim, "--api-version-date", version)
			a := g.validate(key, machine(1))
			require.Equal(t, http.StatusCreated, a.status, a.body)
			assert.Equal(t, "application/json", a.header.Get("Content-Type"))
			assert.Equal(t, "no-store", a.header.Get("Cache-Control"))
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(a.body), &got))
			start, manage := got["renewal_period_start"], got["manage_url"]
			assert.Contains(t, []any{nil, "https://whop.com/manage/1"}, manage, "not every shape has it")
			assert.Contains(t, []any{nil, 1767225600.0}, start, "not every shape has it")
			assert.Equal(t, map[string]any{
				"id": sim.membership(key).ID, "product": testProduct, "plan": "plan_1", "status": "active", "valid": true,
				"license_key": key, "metadata": map[string]any{"HWID": machine(1)}, "expires_at": nil,
				"renewal_period_start": start, "renewal_period_end": 1798761600.0, "created_at": 1735689600.0,
				"cancel_at_period_end": true, "quantity": 1.0, "manage_url": manage,
			}, got)
		})
	}
}

// Apps that were written against v2 compare the status with those that v2 had.
func TestStatusIsOneThatV2Had(t *testing.T) {
	want := map[string][2]any{
		"trialing": {"trialing", false}, "active": {"active", false}, "canceling": {"active", true},
		"completed": {"completed", false}, "past_due": {"past_due", false},
	}
	var all []fields
	for s := range want {
		all = append(all, licensed(testKey(s), fields{"status": s}))
	}
	g := startGateway(t, startSim(t, all))
	for s, w := range want {
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(g.validate(testKey(s), machine(1)).body), &got))
		assert.Equal(t, w, [2]any{got["status"], got["cancel_at_period_end"]}, s)
	}
}

func TestRefusals(t *testing.T) {
	keys := map[string]fields{
		"canceled":   {"status": "canceled"},
		"expired":    {"status": "expired"},
		"unresolved": {"status": "unresolved"},
		"drafted":    {"status": "drafted"},
		"other":      {"product": "prod_other"},
		"lowercase":  {"metadata": fields{"hwid": machine(1)}},
		"foreign":    {"metadata": fields{"note": "vip"}},
	}
	var all []fields
	for name, f := range keys {
		all = append(all, licensed(testKey(name), f))
	}
	sim := startSim(t, all)
	g := startGateway(t, sim)
	for _, name := range []string{"canceled", "expired", "unresolved", "drafted"} {
		assertRefused(t, g.validate(testKey(name), machine(1)), 403, "license_inactive")
	}
	for _, name := range []string{"lowercase", "foreign"} {
		a := g.validate(testKey(name), machine(1))
		assertRefused(t, a, 400, "metadata_mismatch")
		assert.Contains(t, a.body, "Please reset your key to use on a new machine")
	}
	unknown, other := g.validate(testKey("nobody"), machine(1)), g.validate(testKey("other"), machine(1))
	assertRefused(t, unknown, 404, "not_found")
	unknown.header.Del("Date")
	other.header.Del("Date")
	assert.Equal(t, unknown, other, "a key of another product must look like no key")
	assert.Zero(t, sim.calls("v1.patch"), "a refusal writes nothing")
}

func TestEntitledStatuses(t *testing.T) {
	entitled := []string{"trialing", "active", "canceling", "completed", "past_due"}
	var all []fields
	for _, s := range append(entitled, "canceled") {
		all = append(all, licensed(testKey(s), fields{"status": s}))
	}
	sim := startSim(t, all)
	byDefault, narrowed := startGateway(t, sim), startGateway(t, sim, "--entitled-status", "active,canceled")
	for _, s := range entitled {
		assert.Equal(t, 201, byDefault.validate(testKey(s), machine(1)).status, s)
	}
	assert.Equal(t, 201, narrowed.validate(testKey("active"), machine(1)).status)
	assert.Equal(t, 201, narrowed.validate(testKey("canceled"), machine(1)).status)
	assert.Equal(t, 403, narrowed.validate(testKey("trialing"), machine(1)).status)
}

func TestSeveralMachines(t *testing.T) {
	key, noted := testKey("three"), testKey("noted")
	sim := startSim(t, []fields{licensed(key), licensed(noted, fields{"metadata": fields{"note": "vip", "HWID": machine(1)}})})
	g := startGateway(t, sim, "--max-machines", "3", "--seller-metadata", "note")
	for n := 1; n <= 3; n++ {
		a := g.validate(key, machine(n))
		require.Equal(t, 201, a.status, a.body)
		assert.Contains(t, a.body, `"metadata":{"HWID":"`+machine(n)+`"}`, "in v2's terms")
	}
	assert.Equal(t, map[string]any{"HWID": machine(1), "HWID_2": machine(2), "HWID_3": machine(3)}, sim.membership(key).Metadata)
	assertRefused(t, g.validate(key, machine(4)), 400, "metadata_mismatch")
	for n := 1; n <= 3; n++ {
		assert.Equal(t, 201, g.validate(key, machine(n)).status)
	}
	assert.Equal(t, 201, g.validate(noted, machine(2)).status)
	assert.Equal(t, map[string]any{"note": "vip", "HWID": machine(1), "HWID_2": machine(2)}, sim.membership(noted).Metadata)
	assertRefused(t, g.post(validatePath(key), `{"metadata":{"note":"`+machine(1)+`"}}`), 400, "invalid_request")
	long := strings.Repeat("x", 99)
	assertRefused(t, g.post(validatePath(key), `{"metadata":{"`+long+`":"a"}}`), 400, "invalid_request")
	assertRefused(t, g.post(validatePath(key), `{"metadata":{"`+long[1:]+`":"a"}}`), 400, "metadata_mismatch")
}

func TestNoMetadataNamesNoMachine(t *testing.T) {
	bound, unbound := testKey("bound"), testKey("unbound")
	sim := startSim(t, []fields{licensed(bound, fields{"metadata": fields{"HWID": machine(1)}}), licensed(unbound)})
	g := startGateway(t, sim)
	for _, key := range []string{bound, unbound} {
		a := g.post(validatePath(key), `{"metadata":{}}`)
		assert.Equal(t, 201, a.status)
		assert.Contains(t, a.body, `"metadata":{}`)
		assert.NotContains(t, a.body, machineMark, "nobody learns which machine is bound")
	}
	assert.Zero(t, sim.calls("v1.patch"))
}

func TestMembershipIDIsAcceptedAsV2Did(t *testing.T) {
	key := testKey("byid")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	id := sim.membership(key).ID
	a := g.validate(id, machine(1))
	require.Equal(t, 201, a.status, a.body)
	assert.Contains(t, a.body, `"license_key":"`+id+`"`)
	assert.NotContains(t, a.body, keyMark, "an id must not be turned into a license key")
	assertRefused(t, g.validate(key, machine(2)), 400, "metadata_mismatch")
	assert.Equal(t, 201, g.validate(key, machine(1)).status)
}

func TestValuesThatAreNotStrings(t *testing.T) {
	key := testKey("number")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim, "--cache-ttl", "0")
	ask := func(value string) int { return g.post(validatePath(key), `{"metadata":{"HWID":`+value+`}}`).status }
	assert.Equal(t, 201, ask("219902325555"))
	assert.Equal(t, map[string]any{"HWID": 219902325555.0}, sim.membership(key).Metadata)
	assert.Equal(t, 201, ask("219902325555"))
	assert.Equal(t, 400, ask(`"219902325555"`))
	assert.Equal(t, 400, ask("219902325556"))
}

func TestWrongRequests(t *testing.T) {
	key := testKey("wrong")
	sim := startSim(t, []fields{licensed(key)})
	g := startGateway(t, sim)
	long := strings.Repeat("x", 501)
	bodies := map[string]string{
		"empty":                  ``,
		"not JSON":               `metadata=HWID`,
		"an array":               `[]`,
		"null":                   `null`,
		"a string":               `"x"`,
		"no metadata":            `{}`,
		"null metadata":          `{"metadata":null}`,
		"metadata in other case": `{"Metadata":{"HWID":"x"}}`,
		"metadata a string":      `{"metadata":"HWID"}`,
		"metadata an array":      `{"metadata":["HWID"]}`,
		"a null value":           `{"metadata":{"HWID":null}}`,
		"an empty value":         `{"metadata":{"HWID":""}}`,
		"a blank value":          `{"metadata":{"HWID":" "}}`,
		"an object":              `{"metadata":{"HWID":{"a":1}}}`,
		"a fraction":             `{"metadata":{"HWID":1.5}}`,
		"a whole fraction":       `{"metadata":{"HWID":1.0}}`,
		"a power":                `{"metadata":{"HWID":1e3}}`,
		"no finite number":       `{"metadata":{"HWID":1e999}}`,
		"minus zero":             `{"metadata":{"HWID":-0}}`,
		"a number that rounds":   `{"metadata":{"HWID":9007199254740993}}`,
		"a number over 64 bits":  `{"metadata":{"HWID":12345678901234567890}}`,
		"a list":                 `{"metadata":{"HWID":["a"]}}`,
		"an empty name":          `{"metadata":{"":"x"}}`,
		"a long name":            `{"metadata":{"` + long[:101] + `":"x"}}`,
		"a long value":           `{"metadata":{"HWID":"` + long + `"}}`,
		"a name twice":           `{"metadata":{"HWID":"a","HWID":"b"}}`,
		"metadata twice":         `{"metadata":{"HWID":"a"},"metadata":{"HWID":"b"}}`,
		"invalid UTF-8":          "{\"metadata\":{\"HWID\":\"\xff\"}}",
		"a lone surrogate":       `{"metadata":{"HWID":"\ud800"}}`,
		"something after it":     `{"metadata":{"HWID":"a"}}{}`,
		"cut off":                `{"metadata":{"HWID":"a"`,
		"over 64 KiB":            `{"metadata":{"HWID":"a"},"x":"` + strings.Repeat("x", 64<<10) + `"}`,
		"deeply nested":          `{"metadata":{"HWID":"a"},"x":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}`,
		"a prototype":            `{"metadata":{"__proto__":"x"}}`,
	}
	many := make([]string, 51)
	for i := range many {
		many[i] = `"n` + strings.Repeat("i", i) + `":"x"`
	}
	bodies["51 names"] = `{"metadata":{` + strings.Join(many, ",") + `}}`
	for name, body := range bodies {
		assertRefused(t, g.post(validatePath(key), body), 400, "invalid_request")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	assert.Zero(t, sim.calls("v1.get"), "nothing of this goes to Whop")
}

// An app that reads only the status would take a 400 for a mismatch.
func TestKeysThatCannotBeOneAreUnknown(t *testing.T) {
	sim := startSim(t, nil)
	g := startGateway(t, sim)
	unknown := g.validate(testKey("nobody"), machine(1))
	require.Equal(t, 1, sim.calls("v1.get"))
	paths := map[string]string{
		"no key":          "",
		"two keys":        "ABC%20DEF",
		"white space":     "%20%20",
		"a slash":         "a%2Fb",
		"a plain slash":   "a/b",
		"a dot":           "%2E",
		"two dots":        "%2e%2e",
		"a backslash":     "a%5Cb",
		"a question mark": "a%3Fb",
		"a hash":          "a%23b",
		"a percent sign":  "a%25b",
		"a zero byte":     "a%00b",
		"a line break":    "a%0Ab",
		"invalid UTF-8":   "a%FFb",
		"201 characters":  strings.Repeat("a", 201),
	}
	for name, segment := range paths {
		a := g.post(validatePrefix+segment+validateSuffix, `{"metadata":{"HWID":"x"}}`)
		assertRefused(t, a, 404, "not_found")
		assert.Equal(t, unknown.body, a.body, name)
		assertRefused(t, g.post(validatePrefix+segment+validateSuffix, `{}`), 400, "invalid_request")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	assert.Equal(t, 1, sim.calls("v1.get"), "nothing of this goes to Whop")
}

// An app whose base URL ends in a slash, or that adds one, asks all the same, and
// so does one that calls v2 by the shorter path.
func TestOtherFormsOfThePath(t *testing.T) {
	key := testKey("slashes")
	g := startGateway(t, startSim(t, []fields{licensed(key)}))
	body := `{"metadata":{"HWID":"` + machine(1) + `"}}`
	for _, path := range []string{
		"/" + validatePath(key), "//" + validatePath(key), validatePath(key) + "/", validatePath(key) + "//",
		"/api//v2///memberships//" + key + "//validate_license",
		"/v2/memberships/" + key + "/validate_license", "/v2//memberships/" + key + "/validate_license/",
	} {
		assert.Equal(t, 201, g.post(path, body).status, path)
	}
	assertRefused(t, g.post("/"+validatePath(testKey("none"))+"/", body), 404, "not_found")
}

func TestRequestsThatOldAppsSend(t *testing.T) {
	key := testKey("lenient")
	sim := startSim(t, []fields{licensed(key), licensed("Ü+@:;=&$,!~" + keyMark + "ëé")})
	g := startGateway(t, sim)
	path := validatePath(key)
	body := `{"metadata":{"HWID":"` + machine(1) + `"}}`
	assert.Equal(t, 201, g.post(path, body, "Authorization", "Bearer something old").status)
	assert.Equal(t, 201, g.post(path, body, "Content-Type", "text/plain").status)
	assert.Equal(t, 201, g.post(path, ` {"nonce":"AAAAAAAAAAAAAAAAAAAAAA","extra":[1],"metadata":{"HWID":"`+machine(1)+`"}} `).status)
	assert.Equal(t, 201, g.post(validatePrefix+"%20"+key+"%0A"+validateSuffix, body).status, "white space around the key is trimmed")
	assert.Equal(t, 201, g.post(path+"?utm=1", body).status)
	assert.Equal(t, 201, g.validate("Ü+@:;=&$,!~"+keyMark+"ëé", machine(1)).status)
}

func TestOtherPathsAndMethods(t *testing.T) {
	g := startGateway(t, startSim(t, nil))
	for _, path := range []string{"/", "/metrics", "/api/v1/memberships/x", "/api/v2/memberships/x", "/api/v2/memberships/validate_license", "/x" + validatePath("K"), "/api/v2/membershipsK/validate_license", "/api/v2/memberships/Kvalidate_license", "/apiv2/memberships/K/validate_license", "/v2/memberships/x", "/v2/membershipsK/validate_license", "/api/memberships/K/validate_license", "/memberships/K/validate_license", "/v1/memberships/K/validate_license", validatePath("K") + "/x"} {
		a := g.post(path, `{"metadata":{}}`)
		assert.Equal(t, 404, a.status, path)
		assert.NotContains(t, a.header.Get("Content-Type"), "json", "a 404 in JSON would mean that a license does not exist")
	}
	a := g.get(validatePath("K"))
	assertRefused(t, a, 405, "method_not_allowed")
	assert.Equal(t, "POST", a.header.Get("Allow"))
	assert.Equal(t, 200, g.get("/healthz").status)
	assert.Equal(t, 200, g.get("/readyz").status)
}

// Whop doesn't document what it says about an unknown license key, so it may not
// mention a membership.
func TestUnknownLicenseKeyInOtherWords(t *testing.T) {
	known := testKey("known")
	sim := startSim(t, []fields{boundTo(known, 1)})
	whop, err := url.Parse(sim.url)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(whop)
	proxy.ModifyResponse = func(r *http.Response) error {
		if r.StatusCode == http.StatusNotFound {
			const text = `{"error":{"type":"not_found","message":"Not found"}}`
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			r.Header.Set("Content-Length", strconv.Itoa(len(text)))
		}
		return nil
	}
	routes := http.NewServeMux()
	routes.Handle("/", proxy)
	routes.HandleFunc("GET /api/v1/memberships", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(fields{"data": []fields{{"id": sim.membership(known).ID, "license_key": known}}})
	})
	front := httptest.NewServer(routes)
	t.Cleanup(front.Close)
	g := startGateway(t, sim, "--upstream-url", front.URL)
	assertRefused(t, g.validate(testKey("unknown"), machine(1)), 404, "not_found")
	assert.Equal(t, 201, g.validate(known, machine(1)).status)
	code, out, errOut := operate(t, sim, []string{"doctor"}, "--upstream-url", front.URL)
	assert.Zero(t, code, out+errOut)
}
