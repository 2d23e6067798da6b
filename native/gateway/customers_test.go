//go:build unix

package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// The license and the addresses of web/docs/customers.md.
const (
	shownKey     = "A1B2C3-D4E5F6-G7H8I9"
	shownMember  = "mem_AbCdEf123"
	shownURL     = "https://license.example.com"
	shownSigning = "/etc/whop-license-gateway/signing-key.json"
)

// cause is a reason why a customer can't get in, as a setup to run the page's
// commands against.
type cause struct {
	sim     *simulator
	args    []string          // settings of the commands
	gateway *gw               // whose log is read, and which the public address leads to
	instead map[string]string // what stands in a command for what the page shows
}

// causes maps the page's headings to their causes.
var causes = map[string]func(t *testing.T) cause{
	"There is no such key": func(t *testing.T) cause {
		return cause{sim: startSim(t, []fields{{"license_key": "Z9Y8X7-REMADE-W6V5U4", "id": shownMember}})}
	},
	"It is a license of another product": func(t *testing.T) cause {
		return cause{sim: startSim(t, []fields{{"license_key": shownKey, "product": "prod_Another123"}})}
	},
	"The license is valid now": func(t *testing.T) cause {
		return cause{sim: startSim(t, []fields{{"license_key": shownKey}})}
	},
	"The customer has another computer": func(t *testing.T) cause {
		return cause{sim: startSim(t, []fields{{"license_key": shownKey, "metadata": fields{"HWID": "4c1d0000000000000000000000000009af"}}})}
	},
	"It is the same computer, and the app was updated": func(t *testing.T) cause {
		sim := startSim(t, []fields{{"license_key": shownKey, "metadata": fields{"MachineId": machine(1)}}})
		g := startGateway(t, sim)
		assertRefused(t, g.validate(shownKey, machine(1)), 400, "metadata_mismatch")
		return cause{sim: sim, gateway: g}
	},
	"The membership has ended": func(t *testing.T) cause {
		return cause{sim: startSim(t, []fields{{"license_key": shownKey, "status": "canceled"}})}
	},
	"The gateway is down": func(t *testing.T) cause {
		sim := startSim(t, nil)
		g := startGateway(t, sim)
		g.stop()
		return cause{sim: sim, gateway: g}
	},
	"Whop refuses the API key": func(t *testing.T) cause {
		return cause{sim: startSim(t, nil, "--api-key", "another")}
	},
	"Whop is down": func(t *testing.T) cause {
		sim := startSim(t, nil)
		sim.outage("503")
		return cause{sim: sim}
	},
	"The gateway signs with another key": func(t *testing.T) cause {
		file, _ := newKeyFile(t)
		other := filepath.Join(t.TempDir(), "other.json")
		require.NoError(t, keygen(other, &gatewaytest.Buffer{}))
		sim := startSim(t, nil)
		return cause{sim: sim, gateway: startGateway(t, sim, "--signing-key", other), args: []string{"--signing-key", file}, instead: map[string]string{shownSigning: file}}
	},
	"The server's clock is wrong": func(t *testing.T) cause {
		sim := startSim(t, nil)
		early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			http.Redirect(w, r, sim.url, http.StatusFound)
		}))
		t.Cleanup(early.Close)
		return cause{sim: &simulator{t: t, url: early.URL}}
	},
	"Many customers share an address": func(t *testing.T) cause {
		sim := startSim(t, []fields{boundTo(testKey("one"), 1), boundTo(testKey("two"), 1)})
		g := startGateway(t, sim, "--client-limit", "1")
		require.Equal(t, 201, g.validate(testKey("one"), machine(1)).status)
		assertRefused(t, g.validate(testKey("two"), machine(1)), 429, "rate_limited")
		return cause{sim: sim, gateway: g}
	},
}

// leaf is a section of the page: commands, and what they print.
type leaf struct {
	title string
	steps []step
}

type step struct {
	command bool // else what the command before prints
	text    string
}

// readLeaves reads a page. Commands before a section's first subsection belong
// to each of its subsections.
func readLeaves(t *testing.T, file string) (leaves []leaf) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var shared []step
	part := false
	for line := range pageBlocks(string(b)) {
		switch {
		case strings.HasPrefix(line, "## "):
			shared, part = nil, false
		case strings.HasPrefix(line, "### "):
			leaves, part = append(leaves, leaf{line[4:], slices.Clone(shared)}), true
		default:
			head, text, _ := strings.Cut(line, "\n")
			s := step{head == "```sh", text}
			if part {
				last := &leaves[len(leaves)-1]
				last.steps = append(last.steps, s)
			} else {
				shared = append(shared, s)
			}
		}
	}
	require.NotEmpty(t, leaves)
	return leaves
}

// pageBlocks yields a page's headings, and its code blocks without their ends.
func pageBlocks(page string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		block := ""
		for line := range strings.Lines(page) {
			switch {
			case block != "" && line == "```\n":
				if !yield(block) {
					return
				}
				block = ""
			case block != "" || strings.HasPrefix(line, "```"):
				block += line
			case strings.HasPrefix(line, "## "), strings.HasPrefix(line, "### "):
				if !yield(strings.TrimSpace(line)) {
					return
				}
			}
		}
	}
}

// Each command of the page is run against each cause, and prints what the page
// says.
func TestCustomersPage(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, l := range readLeaves(t, "../../web/docs/customers.md") {
		begin, ok := causes[l.title]
		if !ok {
			assert.False(t, slices.ContainsFunc(l.steps, func(s step) bool { return !s.command }), "%q shows what nothing has printed", l.title)
			continue
		}
		seen[l.title] = true
		t.Run(l.title, func(t *testing.T) {
			c, printed, compared := begin(t), "", false
			for _, s := range l.steps {
				if s.command {
					printed = c.run(t, strings.TrimSpace(s.text))
				} else {
					assertPrints(t, s.text, printed)
					compared = true
				}
			}
			assert.True(t, compared, "nothing is shown")
		})
	}
	assert.Equal(t, slices.Sorted(maps.Keys(causes)), slices.Sorted(maps.Keys(seen)))
}

// run runs one command of the page, and returns what it prints with the page's
// names.
func (c cause) run(t *testing.T, command string) string {
	t.Helper()
	instead := map[string]string{}
	maps.Copy(instead, c.instead)
	if c.gateway != nil {
		instead[shownURL] = c.gateway.url
	} else {
		instead[shownURL] = "http://127.0.0.1:1"
	}
	if pattern, ok := strings.CutPrefix(command, "journalctl -u whop-license-gateway | grep '"); ok {
		require.NotNil(t, c.gateway)
		var found strings.Builder
		for line := range strings.Lines(c.gateway.logs.String()) {
			if strings.Contains(line, strings.TrimSuffix(pattern, "'")) {
				found.WriteString(line)
			}
		}
		return found.String()
	}
	words := strings.Fields(command)
	require.Equal(t, "whop-license-gateway", words[0], "a command that the test can't run")
	for shown, real := range instead {
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], shown, real)
		}
	}
	_, out, errOut := operate(t, c.sim, words[1:], c.args...)
	out += errOut
	for shown, real := range instead {
		out = strings.ReplaceAll(out, real, shown)
	}
	return out
}

// assertPrints asserts that all lines that the page shows were printed, in their
// order. What is left out of a line is an ellipsis.
func assertPrints(t *testing.T, shown, printed string) {
	t.Helper()
	lines := strings.Split(printed, "\n")
	for want := range strings.Lines(shown) {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(want, "\n")), "…", ".*") + "$")
		at := slices.IndexFunc(lines, pattern.MatchString)
		if !assert.GreaterOrEqual(t, at, 0, "not printed: %s\nin: %s", want, printed) {
			return
		}
		lines = lines[at+1:]
	}
}
