package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// fields are a membership as tests use it.
type fields map[string]any

func licensed(key string, more ...fields) fields {
	m := fields{"license_key": key, "email": personalMark + "@example.com", "name": personalMark, "username": personalMark}
	for _, f := range more {
		for k, v := range f {
			m[k] = v
		}
	}
	return m
}

// simulator is a running whopsim.
type simulator struct {
	t      testing.TB
	url    string
	starts atomic.Int32 // of gateways, each of which makes one look-up
}

func startSim(t testing.TB, memberships []fields, args ...string) *simulator {
	t.Helper()
	file := filepath.Join(t.TempDir(), "memberships.json")
	b, err := json.Marshal(append([]fields{}, memberships...))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, b, 0o600))
	p := startProgram(t, nil, whopsimProgram, append([]string{"--api-key", testAPIKey, "--memberships", file, "--rate-limit-v1", "0"}, args...)...)
	return &simulator{t: t, url: p.url}
}

// control calls one of the simulator's own routes.
func (s *simulator) control(method, path string, body any) []byte {
	s.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(s.t, err)
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(b))
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.Less(s.t, resp.StatusCode, 300, "%s %s: %s", method, path, answer)
	return answer
}

func (s *simulator) reset(key string) { s.t.Helper(); s.control("POST", "/sim/reset/"+key, nil) }
func (s *simulator) set(key string, f fields) {
	s.t.Helper()
	s.control("POST", "/sim/memberships/"+key, f)
}

func (s *simulator) outage(kind string) {
	s.t.Helper()
	if kind == "" {
		s.control("POST", "/sim/outage", fields{"on": false})
		return
	}
	s.control("POST", "/sim/outage", fields{"on": true, "kind": kind})
}

// membership returns what the simulator stores.
func (s *simulator) membership(key string) (m struct {
	ID       string         `json:"id"`
	Metadata map[string]any `json:"metadata"`
}) {
	s.t.Helper()
	require.NoError(s.t, json.Unmarshal(s.control("GET", "/sim/memberships/"+key, nil), &m))
	return m
}

// calls returns how many calls of an operation ("v1.get", "v1.patch") there were,
// beside those that gateways make when they start.
func (s *simulator) calls(operation string) int {
	s.t.Helper()
	var stats struct {
		Operations map[string]struct {
			Requests int `json:"requests"`
		} `json:"operations"`
	}
	require.NoError(s.t, json.Unmarshal(s.control("GET", "/sim/stats", nil), &stats))
	if operation == "v1.get" {
		return stats.Operations[operation].Requests - int(s.starts.Load())
	}
	return stats.Operations[operation].Requests
}

// inFlight returns how many calls of an operation are not answered yet.
func (s *simulator) inFlight(operation string) int {
	s.t.Helper()
	var stats struct {
		Operations map[string]struct {
			InFlight int `json:"in_flight"`
		} `json:"operations"`
	}
	require.NoError(s.t, json.Unmarshal(s.control("GET", "/sim/stats", nil), &stats))
	return stats.Operations[operation].InFlight
}
