package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestNoticesAreSaidOnceInAWhile(t *testing.T) {
	var out buffer
	n := newNotices(tagger{}, slog.New(slog.NewJSONHandler(&out, nil)))
	at := time.Now()
	n.now = func() time.Time { return at }
	said := func() int { return strings.Count(out.String(), "\n") }
	for range 3 {
		n.license(slog.LevelInfo, testKey("a"), "one")
	}
	assert.Equal(t, 1, said())
	assert.NotContains(t, out.String(), keyMark)
	n.license(slog.LevelInfo, testKey("b"), "one")
	n.license(slog.LevelInfo, testKey("a"), "another")
	assert.Equal(t, 3, said())
	at = at.Add(licenseNotice - time.Second)
	n.license(slog.LevelInfo, testKey("a"), "one")
	assert.Equal(t, 3, said())
	at = at.Add(time.Second)
	n.license(slog.LevelInfo, testKey("a"), "one")
	assert.Equal(t, 4, said())
	n.general(slog.LevelWarn, time.Minute, "x", "all")
	n.general(slog.LevelWarn, time.Minute, "x", "all")
	n.general(slog.LevelWarn, time.Minute, "y", "all")
	assert.Equal(t, 6, said())
}

// Whoever invents licenses can neither fill the log nor the memory, nor keep
// what concerns all out of it.
func TestNoticesAreBounded(t *testing.T) {
	var out buffer
	n := newNotices(tagger{}, slog.New(slog.NewJSONHandler(&out, nil)))
	at := time.Now()
	n.now = func() time.Time { return at }
	said := func() int { return strings.Count(out.String(), "\n") }
	for i := range 2 * maxNotices {
		n.license(slog.LevelInfo, fmt.Sprint("license ", i), "one")
	}
	assert.Equal(t, noticesAtOnce, said())
	n.general(slog.LevelError, time.Minute, "", "all")
	assert.Equal(t, noticesAtOnce+1, said())
	at = at.Add(noticePace)
	n.license(slog.LevelInfo, "last", "one")
	n.license(slog.LevelInfo, "left out", "one")
	assert.Equal(t, noticesAtOnce+2, said())
	at = at.Add(noticePace)
	n.license(slog.LevelInfo, "left out", "one")
	assert.Equal(t, noticesAtOnce+3, said(), "what was left out is said later")
	for i := range 2 * maxNotices {
		n.general(slog.LevelDebug, time.Minute, fmt.Sprint(i), "many")
	}
	assert.Equal(t, maxNotices, n.said.Len())
}

func TestFit(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "HWID": "HWID", "a\r\n\tb": "a b", "\x00\x1b": "", "\u202eevil": "?evil", "é日本": "é日本", "\xff": "?", strings.Repeat("é", 11): strings.Repeat("é", 10) + "…",
	} {
		assert.Equal(t, want, fit(text, 10), "%q", text)
	}
	assert.Equal(t, []string{"a", "b", "…"}, fitAll([]string{"a", "b", "c"}, 2, 10))
	assert.Equal(t, []string{"a", "b"}, fitAll([]string{"a", "b"}, 2, 10))
	assert.Empty(t, fitAll(nil, 2, 10))
}
