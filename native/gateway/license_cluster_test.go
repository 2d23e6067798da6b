//go:build unix

package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// With Redis, a reset excludes bindings, and takes effect at once on every
// gateway.
func TestLicenseResetAmongSeveralGateways(t *testing.T) {
	t.Parallel()
	key := testKey("shared")
	r := gatewaytest.StartRedis(t)
	sim := startSim(t, []fields{licensed(key)})
	redis := []string{"--redis-url", r.URL()}
	a, b := startGateway(t, sim, redis...), startGateway(t, sim, redis...)
	require.Equal(t, 201, a.validate(key, machine(1)).status)
	require.Equal(t, 201, b.validate(key, machine(1)).status)
	assertRefused(t, b.validate(key, machine(2)), 400, "metadata_mismatch")

	_, out, errOut := operate(t, sim, onLicense("show", key, "--json"), redis...)
	var d licenseDescription
	require.NoError(t, json.Unmarshal([]byte(out), &d), errOut)
	require.NotNil(t, d.LastRefusal)
	assert.Equal(t, "metadata_mismatch", d.LastRefusal.Code)
	assert.WithinDuration(t, time.Now(), d.LastRefusal.At, time.Minute)

	// While another one holds the right to bind, nothing is written.
	member := tag.NewTagger(testAPIKey).OfMembership(sim.membership(key).ID)
	lock := "whop-license:" + tag.NewTagger(testAPIKey).Of("namespace", nil).String() + ":lock:" + member.String()
	require.NoError(t, r.Client().Set(t.Context(), lock, "another gateway", time.Minute).Err())
	writes := sim.calls("v1.patch")
	code, _, errOut := operate(t, sim, onLicense("reset", key), redis...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "can't be changed now (busy)")
	assert.Equal(t, writes, sim.calls("v1.patch"))
	require.NoError(t, r.Client().Del(t.Context(), lock).Err())

	code, out, errOut = operate(t, sim, onLicense("reset", key), redis...)
	require.Zero(t, code, errOut)
	assert.Contains(t, out, "so the change takes effect at once")
	assert.Zero(t, r.Client().Exists(t.Context(), lock).Val(), "the right is given back")
	assert.Equal(t, 201, b.validate(key, machine(2)).status)
	eventually(t, "the first gateway has heard of it", func() bool { return a.validate(key, machine(1)).status == 400 })

	r.Kill()
	code, _, errOut = operate(t, sim, onLicense("reset", key), redis...)
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "Redis can't be used")
}
