package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/acme"
	"github.com/whop-license/whop-license/native/gateway/internal/conns"
)

const (
	// renewalCheck is how often the gateway checks whether a CA's certificate is due for renewal.
	renewalCheck = 10 * time.Minute
	// acmeBackoff is how long after a first failure the CA is asked again.
	acmeBackoff = time.Minute
	// challengeConnections is the most connections open at once on the HTTP-01
	// port, where a CA makes only a few short ones.
	challengeConnections = 128
	challengeTime        = 5 * time.Second
)

// secure makes a server speak HTTPS if the settings say so. It returns the
// scheme of the gateway's URL, what to do at SIGHUP, and a function that stops
// what it started.
func (g *gateway) secure(server *http.Server, listener net.Listener) (scheme string, reload, stop func(), err error) {
	stop = func() {}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	var c certificates
	switch {
	case len(g.settings.ACMEDomain) > 0:
		server.TLSConfig.NextProtos = []string{"h2", "http/1.1", acme.Protocol}
		c, stop, err = g.askCA(listener)
	case g.settings.TLSCert != "":
		c, err = newCertificate(g.settings.TLSCert, g.settings.TLSKey, g.log)
	default:
		server.TLSConfig = nil
		return "http", stop, stop, nil
	}
	if err != nil {
		return "", nil, nil, err
	}
	server.TLSConfig.GetCertificate = c.Get
	g.metrics.showCertificate(c)
	return "https", c.Reload, stop, nil
}

// askCA starts getting certificates from a CA. If the CA is down, the gateway
// starts, but is not ready.
func (g *gateway) askCA(listener net.Listener) (certificates, func(), error) {
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return nil, nil, errors.New("--listen: is not a TCP address")
	}
	manager, err := acme.New(acme.Config{
		Domains: g.settings.ACMEDomain, Email: g.settings.ACMEEmail, Folder: g.loaded.acmeFolder, Directory: g.settings.ACMECA,
		Listen: address, HTTPPort: g.settings.ACMEHTTPPort, CheckInterval: renewalCheck, Backoff: acmeBackoff, Log: g.log,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("--acme-dir: %w", err)
	}
	stopChallenges, err := g.serveChallenges(net.JoinHostPort(address.IP.String(), strconv.Itoa(g.settings.ACMEHTTPPort)), manager.Challenges())
	if err != nil {
		return nil, nil, err
	}
	g.api.BlockReadiness(manager.Missing)
	ctx, cancel := context.WithCancel(context.Background())
	manager.Begin(ctx)
	return manager, func() { cancel(); manager.Close(); stopChallenges() }, nil
}

// serveChallenges answers HTTP-01.
func (g *gateway) serveChallenges(address string, handler http.Handler) (stop func(), err error) {
	if g.settings.ACMEHTTPPort == 0 {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--acme-http-port: %w; give another port and forward port 80 of the domain to it, or give 0", err)
	}
	limited := conns.Limit(listener, conns.Config{Max: challengeConnections, Notices: g.notices, Metrics: uncounted{g.metrics}})
	server := &http.Server{
		Handler: handler, ConnState: limited.StateChanged,
		ReadTimeout: challengeTime, WriteTimeout: challengeTime, IdleTimeout: challengeTime, MaxHeaderBytes: 4 << 10,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(limited) }()
	return func() { _ = server.Close() }, nil
}

// uncounted keeps connections for challenges out of the gauge of open
// connections.
type uncounted struct{ *metrics }

func (uncounted) ConnectionsOpen(int) {}

// acmeFolder returns the folder for certificates from a CA.
func acmeFolder(s *settings, getenv func(string) string) (string, error) {
	if s.ACMEDir != "" {
		return s.ACMEDir, nil
	}
	if states := filepath.SplitList(getenv("STATE_DIRECTORY")); len(states) > 0 {
		return filepath.Join(states[0], "acme"), nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("--acme-dir: give the folder where certificates are kept (%w)", err)
	}
	return filepath.Join(config, "whop-license-gateway", "acme"), nil
}
