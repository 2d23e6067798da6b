package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// fakeWhop answers as a test says, where whopsim has no fault for it.
type fakeWhop struct {
	*simulator
	mu       sync.Mutex
	lookUp   func(id string) (status int, body string)
	write    func(metadata json.RawMessage) (status int, body string)
	versions map[string]bool // the Api-Version-Date of all requests
	writes   int
}

func startFake(t testing.TB) *fakeWhop {
	f := &fakeWhop{versions: map[string]bool{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.simulator = &simulator{t: t, url: server.URL}
	return f
}

// startFakeWith returns a fake that answers all look-ups with a body.
func startFakeWith(t testing.TB, body string) *fakeWhop {
	f := startFake(t)
	f.answer(200, body)
	return f
}

func (f *fakeWhop) answer(status int, body string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookUp = func(string) (int, string) { return status, body }
}

func (f *fakeWhop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/v1/memberships/PROBE-") { // made up at the start
		panic(http.ErrAbortHandler) // shows nothing of the license that a test is about
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[strings.Join(r.Header.Values("Api-Version-Date"), ", ")] = true
	status, body := 0, ""
	if r.Method == http.MethodPatch {
		f.writes++
		sent, _ := io.ReadAll(r.Body)
		var request struct{ Metadata json.RawMessage }
		_ = json.Unmarshal(sent, &request)
		status, body = f.write(request.Metadata)
	} else {
		status, body = f.lookUp(strings.TrimPrefix(r.URL.Path, "/api/v1/memberships/"))
	}
	w.Header().Set("Content-Type", "application/json")
	if strings.HasPrefix(body, "<") {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// stores makes the fake store what is written, changed by a function.
func (f *fakeWhop) stores(change func(json.RawMessage) string, members ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored := "null"
	f.lookUp = func(string) (int, string) { return 200, ourLicense(append(members, "metadata", stored)...) }
	f.write = func(m json.RawMessage) (int, string) {
		stored = change(m)
		return 200, ourLicense("metadata", stored)
	}
}

func (f *fakeWhop) written() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

func (f *fakeWhop) versionsSeen() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.versions)
}

// ourLicense is the legacy shape of a license of the product that tests are about.
func ourLicense(members ...string) string {
	return gatewaytest.LegacyWith(append([]string{"product", `"` + testProduct + `"`, "license_key", `null`, "user", `{"id":"user_1","name":"` + personalMark + `"}`}, members...)...)
}

// count returns how many log lines contain all the texts.
func (g *gw) count(texts ...string) (n int) {
	for line := range strings.Lines(g.logs.String()) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			n++
		}
	}
	return n
}
