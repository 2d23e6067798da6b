package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHealthcheck(t *testing.T) {
	sim := startSim(t, nil)
	dir := t.TempDir()
	writeCertificate(t, dir, "license.example.com")
	secure := []string{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem")}
	for scheme, args := range map[string][]string{"http": nil, "https": secure} {
		g := startGateway(t, sim, args...)
		args = append(args, "--listen", strings.TrimPrefix(g.url, scheme+"://"))
		code, out, errOut := operate(t, sim, []string{"healthcheck"}, args...)
		assert.Zero(t, code, errOut)
		assert.Equal(t, "ready\n", out)
		g.stop()
		code, _, errOut = operate(t, sim, []string{"healthcheck"}, args...)
		assert.Equal(t, 1, code)
		assert.Contains(t, errOut, "does not answer")
	}
	code, _, errOut := operate(t, sim, []string{"healthcheck"}, "--listen", "127.0.0.1:0")
	assert.Equal(t, 1, code)
	assert.Contains(t, errOut, "names no port")
}
