package acme

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mholt/acmez/v3/acme"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func manager(t *testing.T, folder string) (*Manager, error) {
	return New(Config{
		Domains: []string{"license.example.com"}, Folder: folder, Directory: "https://ca.invalid/dir",
		Listen: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, HTTPPort: 1, CheckInterval: time.Hour, Backoff: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
}

func TestBackoffGrows(t *testing.T) {
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
		{1, errClock, time.Hour},
		{1, limited("too many, retry after 2026-99-99 99:99:99 UTC"), time.Hour},
	} {
		assert.Equal(t, c.pause, backoff(time.Minute, c.failures, c.err, now), "%d: %v", c.failures, c.err)
	}
}

func TestProblemsAreExplained(t *testing.T) {
	assert.Equal(t, "the CA says: no (malformed)", explain(fmt.Errorf("order: %w", acme.Problem{Type: acme.ProblemTypeMalformed, Detail: "no"})))
	assert.Contains(t, explain(acme.Problem{Type: acme.ProblemTypeCAA, Detail: "CAA record forbids"}), "choose another CA with --acme-ca (the CA says: CAA record forbids)")
	assert.Equal(t, "connection refused", explain(errors.New("connection refused")))
	page := explain(fmt.Errorf("HTTP 500: %s", strings.Repeat("<p>Ü\n", 100_000)))
	assert.Less(t, len(page), 1100)
	assert.NotContains(t, page, "\n")
	assert.True(t, utf8.ValidString(page))
	assert.Less(t, len(explain(acme.Problem{Detail: strings.Repeat("no ", 100_000)})), 1100)
}

// The HTTP-01 port answers challenges, and 404 to everything else.
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

func TestHandshakeFailsWithoutACertificate(t *testing.T) {
	m, err := manager(t, t.TempDir())
	require.NoError(t, err)
	defer m.Close()
	_, err = m.Get(&tls.ClientHelloInfo{ServerName: "license.example.com"})
	assert.EqualError(t, err, "there is no certificate yet")
	_, err = m.Get(&tls.ClientHelloInfo{ServerName: "stranger.example.com", SupportedProtos: []string{Protocol}})
	assert.EqualError(t, err, "the gateway gets no certificate for this name")
	assert.Equal(t, "there is no certificate for license.example.com yet: the CA is being asked", m.Missing())
}

func TestFolder(t *testing.T) {
	shared := filepath.Join(t.TempDir(), "a")
	require.NoError(t, os.Mkdir(shared, 0o755))
	folder := filepath.Join(shared, "b")
	for _, c := range []struct {
		folder string
		mode   os.FileMode
	}{{folder, 0o700}, {shared, 0o755}} { // what exists may be /var/lib, or somebody's home
		m, err := manager(t, c.folder)
		require.NoError(t, err)
		m.Close()
		info, err := os.Stat(c.folder)
		require.NoError(t, err)
		assert.Equal(t, c.mode, info.Mode().Perm(), c.folder)
	}

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := manager(t, file)
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

// Damaged files keep the CA from being asked, so the message says which, and what
// to do. Files of another user are no reason to remove anything.
func TestDamagedFiles(t *testing.T) {
	folder := t.TempDir()
	m, err := manager(t, folder)
	require.NoError(t, err)
	defer m.Close()
	file := certificateFile(folder, "https://ca.invalid/dir", "license.example.com")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	for _, ext := range []string{".crt", ".key", ".json"} {
		require.NoError(t, os.WriteFile(strings.TrimSuffix(file, ".crt")+ext, []byte("{}"), 0o600))
	}
	err = m.attempt(t.Context(), m.domains[0])
	assert.ErrorContains(t, err, "the files in "+filepath.Dir(file)+" are damaged (")
	assert.ErrorContains(t, err, "remove that folder, and the gateway asks the CA")

	err = m.unusable(m.domains[0], &fs.PathError{Op: "open", Path: file, Err: fs.ErrPermission})
	assert.ErrorContains(t, err, "can't be opened: open "+file+": permission denied")
	assert.NotContains(t, err.Error(), "remove")
}

// Other files in the folder can be damaged too, and the message says which.
func TestDamagedFilesOfOtherKinds(t *testing.T) {
	for file, folder := range map[string]string{
		"acme/ca.invalid-dir/users/default/default.key": "acme",
		"locks/issue_cert_license.example.com.lock":     "locks",
	} {
		m, err := manager(t, t.TempDir())
		require.NoError(t, err)
		defer m.Close()
		file = filepath.Join(m.config.Folder, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("\x00"), 0o600))
		require.NoError(t, os.WriteFile(strings.TrimSuffix(file, ".key")+".json", []byte("{}"), 0o600))
		err = m.attempt(t.Context(), m.domains[0])
		assert.ErrorContains(t, err, "if this persists, remove "+filepath.Join(m.config.Folder, folder))
	}
}

// At debug level, the exchange with the CA is logged, but not who connects.
func TestOnlyTheExchangeWithTheCAIsLogged(t *testing.T) {
	for level, expected := range map[slog.Level]int{slog.LevelInfo: 0, slog.LevelDebug: 1} {
		logs := &gatewaytest.Buffer{}
		log := debugLogger(slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: level})))
		log.Error("tls-alpn challenge", zap.String("remote_addr", "203.0.113.9:4711"))
		log.Named("issuer").Named("acme_client").Info("creating order", zap.String("account", "https://ca.invalid/1"))
		assert.NotContains(t, logs.String(), "203.0.113.9")
		assert.Equal(t, expected, strings.Count(logs.String(), "creating order"))
	}
}

// Another program may keep the challenges of other names in the folder.
func TestChallengesOfOwnDomainsOnly(t *testing.T) {
	folder := t.TempDir()
	m, err := manager(t, folder)
	require.NoError(t, err)
	defer m.Close()
	tokens := filepath.Join(folder, "acme", "ca.invalid-dir", "challenge_tokens")
	require.NoError(t, os.MkdirAll(tokens, 0o700))
	for host, status := range map[string]int{"license.example.com": 200, "other.example.com": 404} {
		challenge := fmt.Sprintf(`{"type":"http-01","token":"token","keyAuthorization":"token.proof","identifier":{"type":"dns","value":%q}}`, host)
		require.NoError(t, os.WriteFile(filepath.Join(tokens, host+".json"), []byte(challenge), 0o600))
		w := httptest.NewRecorder()
		m.Challenges().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+host+"/.well-known/acme-challenge/token", nil))
		assert.Equal(t, status, w.Code, host)
	}
}
