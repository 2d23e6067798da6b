package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func manager(t *testing.T, folder string) (*Manager, error) {
	return New(Config{
		Domains: []string{"license.example.com"}, Folder: folder, Directory: "https://ca.invalid/dir",
		Listen: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, HTTPPort: 1, Look: time.Hour, Pause: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
}

func TestPausesGrow(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	limited := func(detail string) error {
		return fmt.Errorf("creating new order: %w", acme.Problem{Type: acme.ProblemTypeRateLimited, Detail: detail})
	}
	for _, c := range []struct {
		failures int
		err      error
		pause    time.Duration
	}{
		{1, errors.New("refused"), time.Minute},
		{2, errors.New("refused"), 2 * time.Minute},
		{6, acme.Problem{Type: acme.ProblemTypeDNS}, 32 * time.Minute},
		{7, errors.New("refused"), time.Hour},
		{1000, errors.New("refused"), time.Hour},
		{1, limited("too many new orders"), time.Hour},
		{1, limited("too many, retry after 2026-01-02 08:30:00 UTC: see https://letsencrypt.org"), 5*time.Hour + 30*time.Minute},
		{3, limited("too many, retry after 2025-01-02 08:30:00 UTC"), 4 * time.Minute},
		{1, limited("too many, retry after 9999-01-02 08:30:00 UTC"), 7 * 24 * time.Hour},
		{1, limited("too many, retry after 2026-99-99 99:99:99 UTC"), time.Hour},
	} {
		assert.Equal(t, c.pause, pause(time.Minute, c.failures, c.err, now), "%d: %v", c.failures, c.err)
	}
}

func TestProblemsAreExplained(t *testing.T) {
	assert.Equal(t, "the CA says: no (malformed)", explain(fmt.Errorf("order: %w", acme.Problem{Type: acme.ProblemTypeMalformed, Detail: "no"})))
	assert.Contains(t, explain(acme.Problem{Type: acme.ProblemTypeCAA, Detail: "CAA record forbids"}), "name another one with --acme-ca (the CA says: CAA record forbids)")
	assert.Equal(t, "connection refused", explain(errors.New("connection refused")))
}

// What is asked on the port of HTTP-01 is a challenge, or is not found.
func TestNothingButChallenges(t *testing.T) {
	m, err := manager(t, t.TempDir())
	require.NoError(t, err)
	defer m.Close()
	for _, target := range []string{
		"http://license.example.com/api/v2/memberships/KEY/validate_license",
		"http://license.example.com/.well-known/acme-challenge/unknown",
		"http://license.example.com:80/.well-known/acme-challenge/../../settings",
		"http://other.example.com/.well-known/acme-challenge/unknown",
		"http://..%2f..%2fetc/.well-known/acme-challenge/unknown",
	} {
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "http://license.example.com/", nil)
		host, path, _ := strings.Cut(strings.TrimPrefix(target, "http://"), "/")
		req.Host, req.URL.Path = host, "/"+path
		m.Challenges().ServeHTTP(w, req)
		assert.Equal(t, http.StatusNotFound, w.Code, target)
		assert.Empty(t, w.Header().Get("Location"))
		assert.NotContains(t, w.Body.String(), "KEY")
	}
}

func TestClientsAreToldWhereThereIsNoCertificate(t *testing.T) {
	m, err := manager(t, t.TempDir())
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Get(&tls.ClientHelloInfo{ServerName: "license.example.com"})
	assert.EqualError(t, err, "there is no certificate yet")
	_, err = m.Get(&tls.ClientHelloInfo{ServerName: "stranger.example.com", SupportedProtos: []string{Protocol}})
	assert.EqualError(t, err, "no certificate is asked for under this name")
	assert.Equal(t, "there is no certificate for license.example.com yet: the CA is being asked", m.Missing())
}

func TestFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	m, err := manager(t, folder)
	require.NoError(t, err)
	m.Close()
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = manager(t, file)
	assert.Error(t, err)

	leaf, err := Stored(folder, "https://ca.invalid/dir", "license.example.com")
	assert.NoError(t, err)
	assert.Nil(t, leaf)
	broken := filepath.Join(folder, "certificates", "ca.invalid-dir", "license.example.com")
	require.NoError(t, os.MkdirAll(broken, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(broken, "license.example.com.crt"), []byte("half a file"), 0o600))
	_, err = Stored(folder, "https://ca.invalid/dir", "license.example.com")
	assert.ErrorContains(t, err, "license.example.com.crt: is not a certificate")
}
