package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// operate runs one of the operator's commands with the settings that gateways have
// in tests.
func operate(t testing.TB, sim *simulator, command []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	env := map[string]string{"WHOP_API_KEY": testAPIKey, "WHOP_WEBHOOK_SECRET": testSecret}
	var o, e bytes.Buffer
	code = run(t.Context(), append(append(command, "--upstream-url", sim.url, "--product", testProduct), args...), func(name string) string { return env[name] }, &o, &e)
	_, _ = said.Write([]byte(o.String() + e.String()))
	return code, o.String(), e.String()
}

func onLicense(args ...string) []string { return append([]string{"license"}, args...) }

func TestLicenseShow(t *testing.T) {
	key := testKey("shown")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1), "HWID_2": machine(2), "note": "x"}, "status": "canceling", "renewal_period_end": "2030-01-31T00:00:00Z"})})
	code, out, errOut := operate(t, sim, onLicense("show", key), "--max-machines", "3", "--seller-metadata", "note")
	assert.Zero(t, code)
	assert.Empty(t, errOut)
	short := func(text string) string { return text[:4] + "…" + text[len(text)-4:] }
	assert.Equal(t, fmt.Sprintf(`License key     %s
Membership      %s
Product         prod_sim
Plan            plan_sim
Status          canceling, entitled
Ends            2030-01-31 00:00:00 UTC
Places          2 taken, 3 allowed
  place 1       HWID %s
  place 2       HWID %s
Seller metadata note
Check result    valid
Why             a place is free; the next machine that asks gets it
`, short(key), sim.membership(key).ID, short(machine(1)), short(machine(2))), out)
	assert.Zero(t, sim.calls("v1.patch"), "and nothing is changed")
}

func TestLicenseShowSaysWhatACheckAnswers(t *testing.T) {
	for _, c := range []struct {
		membership     fields
		args           []string
		bound, another string
		why            string
	}{
		{fields{}, nil, "valid", "valid", "no machine has the license yet"},
		{fields{"metadata": fields{"HWID": machine(1)}}, nil, "valid", "metadata_mismatch", "every place is taken"},
		{fields{"metadata": fields{"HWID_3": machine(1)}}, nil, "valid", "metadata_mismatch", "places beyond --max-machines"},
		{fields{"status": "canceled"}, nil, "inactive", "inactive", "does not list the status canceled"},
		{fields{"members": fields{"status": "grace_period"}}, nil, "inactive", "inactive", "answered 503"},
		{fields{"product": "prod_other"}, nil, "not_found", "not_found", "belongs to prod_other"},
	} {
		key := testKey("answers")
		sim := startSim(t, []fields{licensed(key, c.membership)})
		code, out, errOut := operate(t, sim, onLicense("show", key, "--json"), c.args...)
		require.Zero(t, code, errOut)
		var d licenseDescription
		require.NoError(t, json.Unmarshal([]byte(out), &d))
		assert.Equal(t, []string{c.bound, c.another}, []string{d.BoundMachine, d.AnotherMachine}, c.why)
		assert.Contains(t, d.Why, c.why)
		assert.Nil(t, d.LastRefusal)
	}
}

func TestLicenseUnknownOrWrong(t *testing.T) {
	sim := startSim(t, []fields{licensed(testKey("other"), fields{"product": "prod_2", "metadata": fields{"HWID": machine(1)}}), licensed(testKey("empty"))})
	for _, c := range []struct {
		command []string
		code    int
		says    string
	}{
		{onLicense("show", testKey("nobody")), 1, ""},
		{onLicense("reset", testKey("nobody")), 1, "Whop has no such license"},
		{onLicense("reset", testKey("other")), 1, "--product does not list"},
		{onLicense("reset", testKey("empty")), 1, "no machine is stored"},
		{onLicense("release", testKey("empty"), "0"), badSettings, "numbered from 1"},
		{onLicense("release", testKey("empty")), badSettings, "<place>"},
		{onLicense("show", "a/b"), badSettings, "licenseKey"},
		{onLicense(), badSettings, "show"},
	} {
		code, out, errOut := operate(t, sim, c.command)
		assert.Equal(t, c.code, code, c.command)
		assert.Contains(t, errOut, c.says)
		if c.says == "" {
			assert.Contains(t, out, "not_found")
		}
	}
	assert.Zero(t, sim.calls("v1.patch"))
	sim.outage("503")
	code, _, errOut := operate(t, sim, onLicense("show", testKey("empty")))
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "failing: status 503")
}

// This works whether Whop merges what is written with what is stored or
// replaces it.
func TestLicenseReleaseAndReset(t *testing.T) {
	for _, semantics := range []string{"merge", "replace"} {
		t.Run(semantics, func(t *testing.T) {
			key := testKey("released")
			sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1), "HWID_2": machine(2), "note": "x"}})}, "--patch-semantics", semantics)
			audit := filepath.Join(t.TempDir(), "audit")
			args := []string{"--max-machines", "2", "--seller-metadata", "note", "--audit-log", audit}
			code, out, errOut := operate(t, sim, onLicense("release", key, "1"), args...)
			require.Zero(t, code, errOut)
			assert.Contains(t, out, "Done. The gateway may still let in a machine from its cache for up to 5m0s")
			assert.Contains(t, out, "1 taken, 2 allowed\n  place 2")
			stored := sim.membership(key).Metadata
			assert.Nil(t, stored["HWID"])
			assert.Equal(t, []any{machine(2), "x"}, []any{stored["HWID_2"], stored["note"]})

			g := startGateway(t, sim, args...)
			assert.Equal(t, 201, g.validate(key, machine(3)).status, "another machine gets the place")
			assertRefused(t, g.validate(key, machine(1)), 400, "metadata_mismatch")

			code, _, errOut = operate(t, sim, onLicense("reset", key), args...)
			require.Zero(t, code, errOut)
			assert.Equal(t, "x", sim.membership(key).Metadata["note"], "what is the seller's stays")
			assert.Nil(t, sim.membership(key).Metadata["HWID_2"])
			assertAudit(t, audit, sim.membership(key).ID, `{"event":"released","membership":"%s","place":1}`,
				`{"event":"bound","key":"`+key[:4]+"…"+key[len(key)-4:]+`","membership":"%s","place":1,"machine":{"HWID":"`+machine(3)[:4]+"…"+machine(3)[len(machine(3))-4:]+`"}}`,
				`{"event":"reset","membership":"%s"}`)
		})
	}
}

// assertAudit compares an audit log with the lines that it should have, without
// their times.
func assertAudit(t *testing.T, file, membership string, want ...string) {
	t.Helper()
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Zero(t, info.Mode().Perm()&0o077, "nobody else may read it")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	require.Len(t, lines, len(want), string(b))
	for i, line := range lines {
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		assert.Regexp(t, `^\d{4}-\d\d-\d\dT`, event["time"])
		delete(event, "time")
		rest, err := json.Marshal(event)
		require.NoError(t, err)
		expected := want[i]
		if strings.Contains(expected, "%s") {
			expected = fmt.Sprintf(expected, membership)
		}
		assert.JSONEq(t, expected, string(rest))
	}
}

func TestLicenseReleaseThatWhopDoesNotStore(t *testing.T) {
	key := testKey("ignored")
	sim := startSim(t, []fields{licensed(key, fields{"metadata": fields{"HWID": machine(1)}, "fault": "ignored-write"})})
	code, _, errOut := operate(t, sim, onLicense("reset", key))
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "Whop accepted the change but does not show it")
	assert.Equal(t, 2, sim.calls("v1.patch"), "both ways were tried")
	sim.set(key, fields{"fault": "lost-write"})
	code, _, errOut = operate(t, sim, onLicense("reset", key))
	assert.Zero(t, code, errOut)
	assert.Empty(t, sim.membership(key).Metadata, "only a look-up tells what is stored")
}

func TestAuditLogThatCantBeWritten(t *testing.T) {
	sim := startSim(t, nil)
	code, _, errOut := operate(t, sim, []string{"--config-check"}, "--audit-log", filepath.Join(t.TempDir(), "no", "such", "folder"))
	assert.Equal(t, badSettings, code)
	assert.Contains(t, errOut, "--audit-log: open")
}

// A full disk leaves the beginning of a line. The next line is on its own.
func TestAuditLogAfterHalfALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit")
	require.NoError(t, os.WriteFile(file, []byte(`{"time":"20`), 0o600))
	audit := newAudit(file, gatewaytest.DiscardLog())
	audit.Freed("mem_1", 1)
	audit.Freed("mem_1", 2)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Regexp(t, `^\{"time":"20\n\{[^\n]+"place":1\}\n\{[^\n]+"place":2\}\n$`, string(b))
}

// A gateway that may only append can't read back what it wrote.
func TestAuditLogThatCantBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read every file")
	}
	file := filepath.Join(t.TempDir(), "audit")
	require.NoError(t, os.WriteFile(file, nil, 0o200))
	require.NoError(t, checkAudit(file))
	newAudit(file, gatewaytest.DiscardLog()).Freed("mem_1", 1)
	require.NoError(t, os.Chmod(file, 0o600))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"place":1}`)
}
