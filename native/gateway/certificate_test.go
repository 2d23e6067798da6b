package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func writeCertificate(t *testing.T, dir, name string) {
	t.Helper()
	writeCertificateUntil(t, dir, name, time.Now().Add(time.Hour))
}

// writeCertificateUntil writes a self-signed certificate for a name and for
// loopback.
func writeCertificateUntil(t *testing.T, dir, name string, notAfter time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: notAfter, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
}

func TestTLS(t *testing.T) {
	key := testKey("tls")
	dir := t.TempDir()
	writeCertificate(t, dir, "first")
	g := startGateway(t, startSim(t, []fields{licensed(key)}), "--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	assert.True(t, strings.HasPrefix(g.url, "https://"))
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := insecure.Post(g.url+validatePath(key), "application/json", strings.NewReader(`{"metadata":{"HWID":"`+machine(1)+`"}}`))
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 201, resp.StatusCode)
	assert.Equal(t, "HTTP/2.0", resp.Proto)
	assert.Equal(t, "first", resp.TLS.PeerCertificates[0].Subject.CommonName)

	_, err = tls.Dial("tcp", strings.TrimPrefix(g.url, "https://"), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	assert.ErrorContains(t, err, "protocol version")
}

// The log doesn't claim a reload if the files could not be used.
func TestHangupWithFilesThatCantBeUsed(t *testing.T) {
	dir := t.TempDir()
	var logs gatewaytest.Buffer
	writeCertificate(t, dir, "first")
	c, err := newCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.NewJSONHandler(&logs, nil)))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), nil, 0o600))
	c.Reload()
	assert.Contains(t, logs.String(), "can't be used")
	assert.NotContains(t, logs.String(), "reloaded")
}

// certificateName returns the name in a gateway's certificate.
func certificateName(t *testing.T, url string) string {
	c, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestCertificateIsReloadedWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	var logs gatewaytest.Buffer
	writeCertificate(t, dir, "first")
	c, err := newCertificate(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), slog.New(slog.NewJSONHandler(&logs, nil)))
	require.NoError(t, err)
	name := func() string {
		pair, err := c.Get(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		require.NoError(t, err)
		return leaf.Subject.CommonName
	}
	touch := func(at time.Time) {
		require.NoError(t, os.Chtimes(filepath.Join(dir, "cert.pem"), at, at))
		c.checked = time.Time{}
	}
	writeCertificate(t, dir, "second")
	assert.Equal(t, "first", name(), "not looked at for every connection")
	touch(time.Now().Add(time.Second))
	assert.Equal(t, "second", name())
	assert.Empty(t, logs.String())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("half a renewal"), 0o600))
	touch(time.Now().Add(2 * time.Second))
	assert.Equal(t, "second", name())
	assert.Contains(t, logs.String(), "the certificate files can't be used")
}
