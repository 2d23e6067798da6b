package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/cluster"
	"github.com/whop-license/whop-license/native/gateway/internal/conns"
	"github.com/whop-license/whop-license/native/gateway/internal/notice"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

const (
	// maxConnections is the most connections that are open at once, if the
	// open-file limit allows it.
	maxConnections = 20_000
	// otherFiles is the number of file descriptors reserved for everything else:
	// Whop (at most 256 connections), Redis, metrics and health, certificates.
	otherFiles = 512
	// apiKeyRetry is how often an API key that Whop refuses is tried again.
	apiKeyRetry = 5 * time.Second
	// finishTime is how long in-flight requests may take once the gateway accepts
	// no more.
	finishTime = 30 * time.Second
)

// gateway is a running whop-license-gateway.
type gateway struct {
	settings *settings
	loaded   *loaded
	shared   shared
	whop     *whop.Client
	checker  *check.Checker
	api      *api.API
	metrics  *metrics
	notices  *notice.Notices
	log      *slog.Logger
}

// shared holds the parts of a gateway that depend on whether it shares a Redis
// with others.
type shared struct {
	exclusion check.Exclusion
	peers     check.Peers
	refusals  check.Refusals
	budget    budget
	// begin starts the background work, which runs until the context ends, and
	// calls ready once the gateway may receive requests.
	begin func(ctx context.Context, c *check.Checker, ready func())
	end   func()
}

// budget is the quota for calls to Whop, and the part of it for unknown license
// keys.
type budget interface {
	whop.Budget
	check.Strangers
}

func newGateway(s *settings, l *loaded, log *slog.Logger) *gateway {
	m, tags := newMetrics(), tag.NewTagger(l.apiKey)
	if l.redis == nil {
		return assemble(s, l, alone(s, m), m, tags, log)
	}
	m.showRedis()
	return assemble(s, l, together(s, l, m, tags, log), m, tags, log)
}

// alone returns the parts of a single gateway.
func alone(s *settings, m *metrics) shared {
	return shared{
		exclusion: check.Alone{},
		peers:     check.Alone{},
		refusals:  check.NewLocalRefusals(),
		budget:    localBudget(s, m),
		begin:     func(_ context.Context, _ *check.Checker, ready func()) { ready() },
		end:       func() {},
	}
}

// together returns the parts of one of several gateways that share a Redis.
// Such a gateway is ready once Redis has worked. It serves requests before
// that, and also if Redis fails later.
func together(s *settings, l *loaded, m *metrics, tags tag.Tagger, log *slog.Logger) shared {
	store := cluster.NewStore(l.redis, tags, log)
	locks := cluster.NewLocks(store, check.LockTime(s.UpstreamTimeout))
	return shared{
		exclusion: locks,
		peers:     store,
		refusals:  store,
		budget:    sharedBudget(s, store, m),
		begin: func(ctx context.Context, c *check.Checker, ready func()) {
			go store.Follow(ctx, c)
			if err := locks.Begin(ctx); err != nil {
				log.Debug("Redis did not report its identity", "error", err.Error()) // Health warns of the cause
			}
			(&cluster.Health{Store: store, Metrics: m, Log: log, Worked: ready}).Watch(ctx)
		},
		end: func() { _ = store.Close() },
	}
}

// localBudget is the quota as one gateway counts it.
func localBudget(s *settings, m *metrics) budget {
	if s.UpstreamBudget == 0 {
		return whop.Unlimited{}
	}
	local := whop.NewLocalBudget(s.UpstreamBudget)
	m.showQuota(s.UpstreamBudget, local.Left)
	return local
}

// sharedBudget is the quota as several gateways count it together.
func sharedBudget(s *settings, store *cluster.Store, m *metrics) budget {
	if s.UpstreamBudget == 0 {
		return whop.Unlimited{}
	}
	limits := map[string]cluster.Limit{}
	for _, count := range whop.Counts {
		limits[count] = cluster.Limit(whop.BucketOf(count, s.UpstreamBudget))
	}
	shared := cluster.NewBudget(store, limits, whop.Strangers, whop.BudgetPatience, whop.NewLocalBudget(s.UpstreamBudget))
	m.showQuota(s.UpstreamBudget, shared.Left)
	return shared
}

// assemble makes a gateway from its parts.
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
		Whop: client, Strangers: with.budget, Exclusion: with.exclusion, Peers: with.peers, Refusals: with.refusals,
		Notices: notices, Metrics: m, Audit: newAudit(s.AuditLog, log), Tags: tags, Log: log,
	})
	return &gateway{
		settings: s, loaded: l, shared: with, whop: client, checker: checker, metrics: m, notices: notices, log: log,
		api: api.New(api.Config{
			Checker: checker, Rules: rules, Proofs: l.proofs,
			AllowedOrigins: s.AllowedOrigin, TrustedProxies: l.trusted,
			WebhookSecret: l.webhookSecret, ReadEvent: whop.ReadEvent,
			Notices: notices, Metrics: m, Log: log,
		}),
	}
}

// run serves until the context ends, then finishes in-flight requests. The
// first line that it writes to out is the URL it listens on.
func (g *gateway) run(ctx context.Context, out io.Writer) error {
	listener, err := g.listen()
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	server := g.server(g.api)
	server.ConnState, server.ConnContext = listener.StateChanged, conns.Context
	scheme, reload, stopTLS, err := g.secure(server, listener)
	if err != nil {
		return err
	}
	defer stopTLS()
	defer onHangup(reload)()
	stopMetrics, err := g.serveMetrics()
	if err != nil {
		return err
	}
	defer stopMetrics()
	g.metrics.showReady(g.api.Ready)
	background, stopBackground := context.WithCancel(context.Background())
	defer stopBackground()
	var missing atomic.Int32
	missing.Store(2)
	works := func() {
		if missing.Add(-1) == 0 {
			g.api.SetReady()
		}
	}
	go listener.Watch(background, memoryLook, memory)
	g.shared.begin(background, g.checker, works)
	g.tryAPIKey(background, works)

	url := scheme + "://" + reachable(listener.Addr())
	fmt.Fprintln(out, url)
	g.log.Info("listening", "url", url, "upstream", g.loaded.upstream.String(), "redis", g.loaded.redis != nil, "max_connections", capacity(openFiles()))
	for _, warning := range g.settings.warnings(g.loaded) {
		g.log.Warn(warning)
	}

	failed := make(chan error, 1)
	go func() { failed <- serve(server, listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	g.drain()
	return g.stop(server, stopBackground)
}

// tryAPIKey looks up a license key that doesn't exist, and repeats that while
// Whop refuses the API key. It calls accepted once Whop doesn't refuse it, so
// that a gateway with a wrong key never replaces one that works. If Whop is
// down, it calls accepted too.
func (g *gateway) tryAPIKey(ctx context.Context, accepted func()) {
	refused := func() bool {
		ctx, cancel := context.WithTimeout(ctx, g.settings.UpstreamTimeout)
		defer cancel()
		var failure *whop.Failure
		return errors.As(g.whop.ProbeLookUp(ctx), &failure) && failure.Refused()
	}
	if !refused() {
		accepted()
		return
	}
	g.log.Error("the gateway is not ready until Whop accepts its API key and its requests; the previous line says why Whop refuses them")
	go func() {
		for check.Sleep(ctx, apiKeyRetry) == nil {
			if !refused() {
				g.log.Info("Whop accepts the API key")
				accepted()
				return
			}
		}
	}()
}

// listen returns the listener for apps.
func (g *gateway) listen() (*conns.Listener, error) {
	listener, err := net.Listen("tcp", g.settings.Listen)
	if err != nil {
		return nil, err
	}
	most := capacity(openFiles())
	g.metrics.showCapacity(most)
	return conns.Limit(listener, conns.Config{
		Max: most, Trusted: g.loaded.trusted, Notices: g.notices, Metrics: g.metrics,
	}), nil
}

// capacity returns how many connections may be open at once, given the
// open-file limit.
func capacity(files int) int {
	return min(maxConnections, max(files-otherFiles, files/2))
}

// serveMetrics serves metrics and health on the address of --metrics-listen, if
// it is set.
func (g *gateway) serveMetrics() (stop func(), err error) {
	if g.settings.MetricsListen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", g.settings.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("--metrics-listen: %w", err)
	}
	server := g.server(g.metrics.handler(http.HandlerFunc(g.api.ServeHealth)))
	go func() { _ = server.Serve(listener) }()
	g.log.Info("serving metrics", "url", "http://"+reachable(listener.Addr())+"/metrics")
	return func() { _ = server.Close() }, nil
}

// onHangup calls reload at each SIGHUP, which would otherwise end the program.
func onHangup(reload func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			reload()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
	}
}

func serve(server *http.Server, listener net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// drain keeps answering requests until load balancers have noticed that the
// gateway is stopping.
func (g *gateway) drain() {
	g.log.Info("stopping; still answering requests until load balancers notice", "for", g.settings.Drain.String())
	g.api.Drain()
	time.Sleep(g.settings.Drain)
}

// stop finishes in-flight requests.
func (g *gateway) stop(server *http.Server, stopBackground func()) error {
	g.log.Info("accepting no more requests; finishing those in flight")
	finish, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	err := server.Shutdown(finish)
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
		MaxHeaderBytes:    4 << 10, // net/http adds 4 KiB
		// These bound how much of unread bodies HTTP/2 buffers.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 50, MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10},
		// The default logger would log clients' broken connections, with their
		// addresses.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// reachable returns an address at which this machine can reach a listener, even
// if it listens on all addresses.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}
