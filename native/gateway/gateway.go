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
	"time"

	"golang.org/x/net/netutil"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/cluster"
	"github.com/whop-license/whop-license/native/gateway/internal/notice"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
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
	loaded   *loaded
	shared   shared
	checker  *check.Checker
	api      *api.API
	metrics  *metrics
	log      *slog.Logger
}

// shared are the parts of a gateway that depend on whether there are others.
type shared struct {
	exclusion check.Exclusion
	peers     check.Peers
	refusals  check.Refusals
	budget    whop.Budget
	// begin starts what runs beside requests, until the context ends, and calls
	// ready once the gateway may get requests.
	begin func(ctx context.Context, c *check.Checker, ready func())
	end   func()
}

func newGateway(s *settings, l *loaded, log *slog.Logger) *gateway {
	m, tags := newMetrics(), tag.NewTagger(l.apiKey)
	if l.redis == nil {
		return assemble(s, l, alone(s), m, tags, log)
	}
	m.showRedis()
	return assemble(s, l, together(s, l, m, tags, log), m, tags, log)
}

// alone returns the parts of a single gateway.
func alone(s *settings) shared {
	return shared{
		exclusion: check.Alone{},
		peers:     check.Alone{},
		refusals:  check.NewLocalRefusals(),
		budget:    localBudget(s),
		begin:     func(_ context.Context, _ *check.Checker, ready func()) { ready() },
		end:       func() {},
	}
}

// together returns the parts of one of several gateways that share a Redis. Such a
// gateway is ready once Redis has worked. It serves before that, and also when
// Redis goes away later.
func together(s *settings, l *loaded, m *metrics, tags tag.Tagger, log *slog.Logger) shared {
	store := cluster.NewStore(l.redis, tags, log)
	locks := cluster.NewLocks(store, check.LockTime(s.UpstreamTimeout))
	budget := localBudget(s)
	if s.UpstreamBudget > 0 {
		b := whop.NewBucket(s.UpstreamBudget)
		budget = cluster.NewBudget(store, b.Burst, b.Refill, whop.BudgetPatience, budget)
	}
	return shared{
		exclusion: locks,
		peers:     store,
		refusals:  store,
		budget:    budget,
		begin: func(ctx context.Context, c *check.Checker, ready func()) {
			go store.Follow(ctx, c)
			if err := locks.Begin(ctx); err != nil {
				log.Debug("Redis did not say who it is", "error", err.Error()) // what is wrong with it is said below
			}
			(&cluster.Health{Store: store, Metrics: m, Log: log, Worked: ready}).Watch(ctx)
		},
		end: func() { _ = store.Close() },
	}
}

// localBudget is the quota as one gateway counts it.
func localBudget(s *settings) whop.Budget {
	if s.UpstreamBudget == 0 {
		return whop.Unlimited{}
	}
	return whop.NewLocalBudget(whop.NewBucket(s.UpstreamBudget))
}

// assemble makes a gateway of its parts.
func assemble(s *settings, l *loaded, with shared, m *metrics, tags tag.Tagger, log *slog.Logger) *gateway {
	notices := notice.New(tags, log)
	rules := binding.Rules{MaxMachines: s.MaxMachines, SellerNames: map[string]bool{}}
	for _, name := range s.SellerMetadata {
		rules.SellerNames[name] = true
	}
	client := whop.New(whop.Config{
		Base: l.upstream, APIKey: l.apiKey, Version: s.APIVersionDate, Timeout: s.UpstreamTimeout,
		Budget: with.budget, Notices: notices, Metrics: m, Tags: tags, Log: log,
	})
	checker := check.New(check.Config{
		Rules: rules, Products: s.Product, Entitled: s.EntitledStatus, Documented: whop.Statuses,
		CacheTTL: s.CacheTTL, StaleIfError: s.StaleIfError, UpstreamTimeout: s.UpstreamTimeout,
		ClientLimit: s.ClientLimit, LicenseLimit: s.LicenseLimit,
		Whop: client, Exclusion: with.exclusion, Peers: with.peers, Refusals: with.refusals,
		Notices: notices, Metrics: m, Audit: newAudit(s.AuditLog, log), Tags: tags, Log: log,
	})
	return &gateway{
		settings: s, loaded: l, shared: with, checker: checker, metrics: m, log: log,
		api: api.New(api.Config{
			Checker: checker, Rules: rules, Proofs: l.proofs,
			AllowedOrigins: s.AllowedOrigin, TrustedProxies: l.trusted,
			WebhookSecret: l.webhookSecret, ReadEvent: whop.ReadEvent,
			Notices: notices, Metrics: m, Log: log,
		}),
	}
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
		g.metrics.showCertificate(certificate)
		scheme = "https"
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.get}
	}
	stopMetrics, err := g.serveMetrics()
	if err != nil {
		return err
	}
	defer stopMetrics()
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	g.shared.begin(background, g.checker, func() { g.api.SetReady(true) })

	url := scheme + "://" + reachable(listener.Addr())
	fmt.Fprintln(out, url)
	g.log.Info("listening", "url", url, "upstream", g.loaded.upstream.String(), "redis", g.loaded.redis != nil)
	for _, warning := range g.settings.warnings(g.loaded) {
		g.log.Warn(warning)
	}

	failed := make(chan error, 1)
	go func() { failed <- serve(server, netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return g.stop(server, stopBackground)
}

// serveMetrics serves metrics on their own address, where there is one.
func (g *gateway) serveMetrics() (stop func(), err error) {
	if g.settings.MetricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", g.settings.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("--metrics-listen: %w", err)
	}
	server := g.server(g.metrics.handler())
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}

func serve(server *http.Server, listener net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// stop finishes what is under way.
func (g *gateway) stop(server *http.Server, stopBackground func()) error {
	g.api.SetReady(false)
	g.log.Info("stopping; finishing what is under way")
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := server.Shutdown(drain)
	stopBackground()
	g.shared.end()
	g.log.Info("stopped")
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("some requests did not finish in time")
	}
	return err
}

func (g *gateway) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      check.LongestCheck(g.settings.UpstreamTimeout),
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		// It would log clients' broken connections, with their addresses.
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
