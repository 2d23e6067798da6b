package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLimitWithCoolDown(t *testing.T) {
	l := &rateLimit{max: 3, window: 10 * time.Second, coolDown: time.Minute}
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, step := range []struct {
		at   float64
		wait time.Duration // 0: allowed
	}{
		{0, 0}, {1, 0}, {2, 0},
		{10, 0},                              // the first is out of the window
		{10.5, time.Minute},                  // 1, 2 and 10 are in it
		{40, 30*time.Second + time.Second/2}, // still cooling down; asking does not prolong it
		{70.4, time.Second / 10},
		{70.5, 0}, {70.6, 0}, {70.7, 0}, {70.8, time.Minute},
	} {
		wait, ok := l.take(at(step.at))
		assert.Equal(t, step.wait == 0, ok, "at %v", step.at)
		assert.InDelta(t, step.wait, wait, float64(time.Microsecond), "at %v", step.at)
	}
}

func TestLimitByWindow(t *testing.T) {
	l := &rateLimit{max: 2, window: time.Minute}
	base := time.Unix(1000, 0)
	for _, step := range []struct{ at, wait time.Duration }{
		{0, 0}, {10 * time.Second, 0}, {20 * time.Second, 40 * time.Second}, {59 * time.Second, time.Second},
		{60 * time.Second, 0}, {61 * time.Second, 9 * time.Second}, {70 * time.Second, 0},
	} {
		wait, ok := l.take(base.Add(step.at))
		assert.Equal(t, step.wait == 0, ok, "at %v", step.at)
		assert.Equal(t, step.wait, wait, "at %v", step.at)
	}
	none := &rateLimit{window: time.Minute}
	for range 1000 {
		_, ok := none.take(base)
		require.True(t, ok)
	}
}

func TestV2RateLimit(t *testing.T) {
	sim := start(t, `[{"license_key":"K"}]`, "--rate-limit", "2")
	assert.Equal(t, 401, sim.bare("POST", validatePath("K"), `{}`).status, "not counted: it has no credential")
	assert.Equal(t, 201, sim.validate("K", `{"metadata":{}}`).status)
	assert.Equal(t, 404, sim.validate("nope", `{"metadata":{}}`).status)
	o := sim.validate("K", `{"metadata":{"HWID":"1"}}`)
	assert.Equal(t, 429, o.status)
	assert.JSONEq(t, `{"message":"You are being rate limited"}`, string(o.body))
	assert.NotContains(t, o.header, "Retry-After")
	assert.Empty(t, sim.stored("K")["metadata"])
	assert.Equal(t, 200, sim.get("K").status, "v1 has its own limits")
}

func TestV1RateLimitIsByOperation(t *testing.T) {
	sim := start(t, full, "--rate-limit-v1", "2", "--retry-after", "--rate-limit", "1")
	for range 2 {
		assert.Equal(t, 200, sim.get("K").status)
	}
	o := sim.get("K")
	assert.Equal(t, 429, o.status)
	assert.Equal(t, "rate_limit_exceeded", o.json(t)["error"].(map[string]any)["type"])
	assert.Regexp(t, `^Try again in [1-9]\d? seconds\.$`, o.message(t))
	assert.Equal(t, "Try again in "+o.header.Get("Retry-After")+" seconds.", o.message(t))
	assert.Equal(t, 200, sim.patch("mem_1", `{}`).status)

	assert.Equal(t, 201, sim.validate("K", `{"metadata":{}}`).status)
	o = sim.validate("K", `{"metadata":{}}`)
	assert.Equal(t, 429, o.status)
	assert.Equal(t, "60", o.header.Get("Retry-After"))
}

func TestDefaultLimitsAreTheDocumentedOnes(t *testing.T) {
	sim, err := newSimulator(parseArgs(t))
	require.NoError(t, err)
	for op, want := range map[operation]rateLimit{
		opValidate: {max: 100, window: 10 * time.Second, coolDown: time.Minute},
		opGet:      {max: 600, window: time.Minute},
		opPatch:    {max: 600, window: time.Minute},
	} {
		assert.Equal(t, want, *sim.rateLimits[op], op)
	}
}
