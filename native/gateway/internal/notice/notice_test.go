package notice

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

func TestNoticesAreLoggedOnceInAWhile(t *testing.T) {
	var out gatewaytest.Buffer
	n := New(tag.Tagger{}, slog.New(slog.NewJSONHandler(&out, nil)))
	at := time.Now()
	n.now = func() time.Time { return at }
	said := func() int { return strings.Count(out.String(), "\n") }
	for range 3 {
		n.License(slog.LevelInfo, gatewaytest.Key("a"), "one")
	}
	assert.Equal(t, 1, said())
	assert.NotContains(t, out.String(), gatewaytest.KeyMark)
	n.License(slog.LevelInfo, gatewaytest.Key("b"), "one")
	n.License(slog.LevelInfo, gatewaytest.Key("a"), "another")
	assert.Equal(t, 3, said())
	at = at.Add(everyLicense - time.Second)
	n.License(slog.LevelInfo, gatewaytest.Key("a"), "one")
	assert.Equal(t, 3, said())
	at = at.Add(time.Second)
	n.License(slog.LevelInfo, gatewaytest.Key("a"), "one")
	assert.Equal(t, 4, said())
	n.General(slog.LevelWarn, time.Minute, "x", "all")
	n.General(slog.LevelWarn, time.Minute, "x", "all")
	n.General(slog.LevelWarn, time.Minute, "y", "all")
	assert.Equal(t, 6, said())
}

// A line about all licenses says how often it stands for, and has the latest details.
func TestNoticesAreCounted(t *testing.T) {
	var out gatewaytest.Buffer
	n := New(tag.Tagger{}, slog.New(slog.NewJSONHandler(&out, nil)))
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	n.now = func() time.Time { return at }
	say := func(reason string) { n.General(slog.LevelWarn, time.Minute, "x", "all", "reason", reason) }
	say("first")
	say("second")
	say("third")
	at = at.Add(time.Minute)
	say("fourth")
	at = at.Add(time.Minute)
	say("fifth")
	say("sixth")
	at = at.Add(time.Hour)
	say("seventh")
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(line, `"reason":`)
		lines = append(lines, strings.TrimSpace(line))
	}
	assert.Equal(t, []string{
		`"first"}`,
		`"fourth","times":3,"since":"2026-11-26T12:00:00Z"}`,
		`"fifth"}`,
		`"seventh","times":2,"since":"2026-11-26T12:02:00Z"}`,
	}, lines)
}

// An attacker who makes up licenses can fill neither the log nor the memory,
// and can't keep general messages out of the log.
func TestNoticesAreBounded(t *testing.T) {
	var out gatewaytest.Buffer
	n := New(tag.Tagger{}, slog.New(slog.NewJSONHandler(&out, nil)))
	at := time.Now()
	n.now = func() time.Time { return at }
	said := func() int { return strings.Count(out.String(), "\n") }
	for i := range 2 * maxRemembered {
		n.License(slog.LevelInfo, fmt.Sprint("license ", i), "one")
	}
	assert.Equal(t, licensesAtOnce, said())
	n.General(slog.LevelError, time.Minute, "", "all")
	assert.Equal(t, licensesAtOnce+1, said())
	at = at.Add(licensePace)
	n.License(slog.LevelInfo, "last", "one")
	n.License(slog.LevelInfo, "left out", "one")
	assert.Equal(t, licensesAtOnce+2, said())
	at = at.Add(licensePace)
	n.License(slog.LevelInfo, "left out", "one")
	assert.Equal(t, licensesAtOnce+3, said(), "what was left out is said later")
	for i := range 2 * maxRemembered {
		n.General(slog.LevelDebug, time.Minute, fmt.Sprint(i), "many")
	}
	assert.Equal(t, maxRemembered, n.said.Len())
}
