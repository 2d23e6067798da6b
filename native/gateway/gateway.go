package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
)

const (
	// maxConnections is how many connections are held at once; more wait.
	maxConnections = 20_000
	// drainTime is how long a gateway that was told to stop goes on answering
	// what it was asked.
	drainTime = 30 * time.Second
)

// gateway is a running whop-license-gateway.
type gateway struct {
	settings *settings
	gate     *gate
	store    *store // nil with a single gateway
	shared   *sharedLocks
	api      *api
	metrics  *metrics
	log      *slog.Logger
}

func newGateway(s *settings, log *slog.Logger) *gateway {
	g := &gateway{settings: s, metrics: newMetrics(), log: log}
	tags := newTagger(s.apiKey)
	notices := newNotices(tags, log)
	var b budget = unlimited{}
	if s.UpstreamBudget > 0 {
		b = newLocalBudget(s.UpstreamBudget)
	}
	g.gate = &gate{
		tags:         tags,
		rules:        bindingRules{maxMachines: s.MaxMachines, sellerNames: setOf(s.SellerMetadata)},
		products:     setOf(s.Product),
		entitled:     setOf(s.EntitledStatus),
		cacheTTL:     s.CacheTTL,
		staleIfError: s.StaleIfError,
		staleLog:     rate.Sometimes{Interval: time.Minute},
		cache:        newCache(),
		clients:      newLimits[netip.Addr](s.ClientLimit, s.ClientLimit),
		licenses:     newLimits[tag](s.LicenseLimit, max(1, s.LicenseLimit/6)),
		local:        newLocalLocks(),
		exclusion:    alone{},
		bindTime:     bindTime(s.UpstreamTimeout),
		lockTime:     lockTime(s.UpstreamTimeout),
		notices:      notices,
		metrics:      g.metrics,
		log:          log,
	}
	g.gate.altered, _ = lru.New[tag, tag](maxCached)
	g.gate.refused, _ = lru.New[tag, struct{}](maxCached)
	if s.redis != nil {
		g.store = newStore(s.redis, tags, log)
		g.shared = newSharedLocks(g.store, g.gate.lockTime)
		g.gate.store, g.gate.exclusion = g.store, g.shared
		if s.UpstreamBudget > 0 {
			b = newSharedBudget(g.store, s.UpstreamBudget)
		}
	}
	g.gate.whop = newWhop(s, tags, b, notices, g.metrics, log)
	g.api = newAPI(s, g.gate, g.metrics, log)
	return g
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, n := range names {
		set[n] = true
	}
	return set
}

// run serves until the context ends, then finishes what is under way. The first
// line that it writes to out is the URL it listens on.
func (g *gateway) run(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", g.settings.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	scheme := "http"
	server := g.server(g.api)
	if g.settings.TLSCert != "" {
		certificate, err := newCertificate(g.settings.TLSCert, g.settings.TLSKey, g.log)
		if err != nil {
			return err
		}
		scheme = "https"
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
	}
	var metricsServer *http.Server
	if g.settings.MetricsListen != "" {
		metricsListener, err := net.Listen("tcp", g.settings.MetricsListen)
		if err != nil {
			return fmt.Errorf("--metrics-listen: %w", err)
		}
		metricsServer = g.server(g.metrics.handler())
		go func() { _ = metricsServer.Serve(metricsListener) }()
		defer metricsServer.Close()
	}
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	g.begin(background)

	url := scheme + "://" + reachable(listener.Addr())
	fmt.Fprintln(out, url)
	g.log.Info("listening", "url", url, "upstream", g.settings.upstream.String(), "redis", g.store != nil)
	for _, warning := range g.settings.warnings() {
		g.log.Warn(warning)
	}

	failed := make(chan error, 1)
	go func() {
		limited := netutil.LimitListener(listener, maxConnections)
		if scheme == "https" {
			failed <- server.ServeTLS(limited, "", "")
		} else {
			failed <- server.Serve(limited)
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.api.ready.Store(false)
	g.log.Info("stopping; finishing what is under way")
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err = server.Shutdown(drain)
	stopBackground()
	if g.store != nil {
		_ = g.store.rdb.Close()
	}
	g.log.Info("stopped")
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("some requests did not finish in time")
	}
	return err
}

// begin starts what runs beside requests. With Redis the gateway is ready once
// Redis has worked; it does serve before, and if Redis goes away later.
func (g *gateway) begin(ctx context.Context) {
	if g.store == nil {
		g.api.ready.Store(true)
		return
	}
	go g.store.follow(ctx, g.gate.cache)
	if err := g.shared.begin(ctx); err != nil {
		g.log.Debug("Redis did not say who it is", "error", err.Error()) // what is wrong with it is said below
	}
	g.watchRedis(ctx)
}
func (g *gateway) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      answerTime + lockPatience + lockTime(g.settings.UpstreamTimeout),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		// What it reports are clients' broken connections, with their addresses.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// reachable is the address under which a listener on all addresses is reached
// from this machine.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}

// certificate is a TLS certificate in files that are renewed while it is used.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time
	checked time.Time
}

func newCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	return c, c.load()
}

func (c *certificate) load() error {
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	c.checked = time.Now()
	if info.ModTime().Equal(c.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err == nil {
		c.current, c.changed = &pair, info.ModTime()
	}
	return err
}

// get returns the certificate, from the files if they have changed. While they
// can't be read, as in the middle of a renewal, the last one is used.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) > time.Minute {
		c.checked = time.Now()
		if err := c.load(); err != nil {
			c.log.Error("the certificate's files can't be used; the certificate from before still is, until it expires", "error", err.Error())
		}
	}
	return c.current, nil
}
