package main

import (
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/version"
)

func TestMetricsOfASingleGateway(t *testing.T) {
	addr, dir := freeAddress(t), t.TempDir()
	end := time.Now().Add(48 * time.Hour)
	writeCertificateUntil(t, dir, "license.example.com", end)
	startGateway(t, startSim(t, nil), "--metrics-listen", addr, "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
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
