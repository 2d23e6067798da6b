package main

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
	"github.com/whop-license/whop-license/shared/version"
)

// namespace is what the name of each of our metrics begins with.
const namespace = "whop_license"

// metrics counts what the gateway does. No label holds a license, a machine or
// a client, so the number of series is fixed. It implements the Metrics
// interface of each internal package.
type metrics struct {
	registry    *prometheus.Registry
	validations *prometheus.CounterVec
	duration    prometheus.Histogram
	cacheUse    *prometheus.CounterVec
	upstreamAsk *prometheus.HistogramVec
	heldBack    *prometheus.CounterVec
	bindings    *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	stale       prometheus.Counter
	circuit     prometheus.Gauge
	redis       prometheus.Gauge
	connections prometheus.Gauge
	connsClosed *prometheus.CounterVec
	limited     *prometheus.CounterVec
	proxies     *prometheus.CounterVec

	// The series of the common cases, to save a map look-up.
	valid, hit, miss prometheus.Counter
	lookUpOK         prometheus.Observer
}

// lookUp is the operation of a look-up, as [whop.Metrics] names it.
const lookUp = "look_up"

// upstreamBuckets are the histogram buckets for whatever depends on how long Whop takes.
var upstreamBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics() *metrics {
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		validations: counters("validations_total", "Validations by outcome: a verdict, or the code of the error.", "outcome"),
		duration:    prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "validation_seconds", Help: "Time to answer the validations for which Whop was asked. Validations that were answered from the cache or turned away are not included.", Buckets: upstreamBuckets}),
		cacheUse:    counters("cache_total", "Validations answered from the cache (hit) or not (miss).", "result"),
		upstreamAsk: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "upstream_seconds", Help: "Calls to Whop by operation and result.", Buckets: upstreamBuckets}, []string{"operation", "result"}),
		heldBack:    counters("upstream_held_back_total", "Calls to Whop that were not made, by operation and reason: Whop asked for a pause (paused), the quota is used up (over_budget), or the circuit breaker is open because Whop was failing (circuit_open).", "operation", "reason"),
		bindings:    counters("bindings_total", "First uses: bound, refused (the lock could not be obtained), lost (Whop did not store the binding), altered (Whop stored it in another form).", "result"),
		webhooks:    counters("webhooks_total", "Webhooks: applied, ignored, repeated, refused, failed.", "result"),
		stale:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "stale_total", Help: "Validations answered from an older look-up because Whop could not be asked."}),
		circuit:     gauge("circuit_open", "1 while the circuit breaker is open: Whop was failing and is not asked."),
		redis:       gauge("redis_up", "1 while Redis works. Only where there is a Redis."),
		connections: gauge("connections", "Open connections of clients and proxies."),
		connsClosed: counters("connections_closed_total", "Connections that were closed to make room, or not accepted: because one client reached its share (client), the gateway reached its limit (all), or it used too much memory (memory).", "limit"),
		limited:     counters("rate_limited_total", "Validations that were answered 429, by the limit that was reached: a client's (client), a client's for unknown license keys (unknown_keys), or a license's (license).", "limit"),
		proxies:     counters("proxy_problems_total", "Validations whose client can't be told apart from others: a trusted proxy sent no X-Forwarded-For (no_header), or a peer that is not a trusted proxy sent one (not_trusted).", "problem"),
	}
	m.showAll()
	m.valid = m.validations.WithLabelValues(check.Valid.String())
	m.hit, m.miss = m.cacheUse.WithLabelValues("hit"), m.cacheUse.WithLabelValues("miss")
	m.lookUpOK = m.upstreamAsk.WithLabelValues(lookUp, "ok")
	m.registry.MustRegister(m.validations, m.duration, m.cacheUse, m.upstreamAsk, m.heldBack, m.bindings, m.webhooks, m.stale, m.circuit, m.connections, m.connsClosed, m.limited, m.proxies, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
}

// showAll exports each counter from the start, as 0: Prometheus would miss the
// first increase of a series that did not exist before.
func (m *metrics) showAll() {
	for counter, values := range map[*prometheus.CounterVec][]string{
		m.validations: {"valid", "metadata_mismatch", "inactive", "not_found", "invalid_request", "request_timeout", "rate_limited", "unavailable", "upstream_refused", "internal", "client_gone"},
		m.cacheUse:    {"hit", "miss"},
		m.bindings:    {"bound", "refused", "lost", "altered"},
		m.webhooks:    {"applied", "ignored", "repeated", "refused", "failed"},
		m.connsClosed: {"client", "all", "memory"},
		m.limited:     {check.LimitClient, check.LimitUnknownKeys, check.LimitLicense},
		m.proxies:     {"no_header", "not_trusted"},
	} {
		for _, value := range values {
			counter.WithLabelValues(value)
		}
	}
	for _, operation := range []string{lookUp, "write"} {
		for _, kind := range whop.HeldBack {
			m.heldBack.WithLabelValues(operation, string(kind))
		}
	}
}

// buildInfo is always 1, and its labels say which gateway this is.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "Always 1; the labels say which gateway this is.",
		ConstLabels: prometheus.Labels{"version": version.Version, "goversion": runtime.Version()}}, func() float64 { return 1 })
}

// showRedis adds the gauge for Redis, if one is configured.
func (m *metrics) showRedis() { m.registry.MustRegister(m.redis) }

// showCertificate adds when the certificate in use expires, if the gateway
// serves HTTPS.
func (m *metrics) showCertificate(c certificates) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "certificate_expiry_seconds", Help: "When the certificate in use expires, in Unix seconds; 0 while the CA has issued none. Only with --tls-cert or --acme-domain."}, func() float64 {
		return float64(c.Expiry().Unix())
	}))
}

// handler serves the metrics and the health endpoints, which can be reached
// here however many connections strangers hold.
func (m *metrics) handler(health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /readyz", health)
	return mux
}

// showQuota adds the quota for calls to Whop and what is left of it, for each
// kind of call.
func (m *metrics) showQuota(perMinute int, left func(ctx context.Context, count string) float64) {
	for _, count := range whop.Counts {
		labels := prometheus.Labels{"operation": count}
		m.registry.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: namespace, Name: "quota_left", ConstLabels: labels,
				Help: "Calls to Whop that may be made at once, by operation; look_up_unknown is what is left for license keys that were never seen valid.",
			}, func() float64 { return left(context.Background(), count) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: namespace, Name: "quota", ConstLabels: labels,
				Help: "The value of quota_left when no calls have been made for a while.",
			}, func() float64 { return float64(whop.BucketOf(count, perMinute).Burst) }),
		)
	}
}

// showReady adds whether requests should be sent here.
func (m *metrics) showReady(ready func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "ready", Help: "1 while /readyz says that requests should be sent here."}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	}))
}

// showCapacity adds how many connections may be open at once.
func (m *metrics) showCapacity(connections int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "connections_limit", Help: "The most connections that the gateway keeps open at once."}, func() float64 { return float64(connections) }))
}

// Validated counts a validation by its outcome.
func (m *metrics) Validated(outcome string) {
	if outcome == check.Valid.String() {
		m.valid.Inc()
	} else {
		m.validations.WithLabelValues(outcome).Inc()
	}
}

// Answered records how long a validation took for which Whop was asked.
func (m *metrics) Answered(took time.Duration) { m.duration.Observe(took.Seconds()) }

// CacheUsed counts a query that was answered from the cache, or was not.
func (m *metrics) CacheUsed(hit bool) {
	if hit {
		m.hit.Inc()
	} else {
		m.miss.Inc()
	}
}

// Called counts a call to Whop.
func (m *metrics) Called(operation, result string, took time.Duration) {
	if operation == lookUp && result == "ok" {
		m.lookUpOK.Observe(took.Seconds())
	} else {
		m.upstreamAsk.WithLabelValues(operation, result).Observe(took.Seconds())
	}
}

// HeldBack counts a call to Whop that was not made.
func (m *metrics) HeldBack(operation, reason string) {
	m.heldBack.WithLabelValues(operation, reason).Inc()
}

// Bound counts a first use.
func (m *metrics) Bound(result string) { m.bindings.WithLabelValues(result).Inc() }

// WebhookTaken counts a webhook.
func (m *metrics) WebhookTaken(result string) { m.webhooks.WithLabelValues(result).Inc() }

// AnsweredStale counts a validation that was answered from an older look-up.
func (m *metrics) AnsweredStale() { m.stale.Inc() }

// ConnectionsOpen records how many connections are open.
func (m *metrics) ConnectionsOpen(n int) { m.connections.Set(float64(n)) }

// ConnectionClosed counts a connection that was closed to make room, or not
// accepted.
func (m *metrics) ConnectionClosed(limit string) { m.connsClosed.WithLabelValues(limit).Inc() }

// Limited counts a validation that was answered 429.
func (m *metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }

// ProxyProblem counts a validation whose client can't be told apart.
func (m *metrics) ProxyProblem(problem string) { m.proxies.WithLabelValues(problem).Inc() }

// CircuitOpen records whether the circuit breaker is open because Whop was
// failing.
func (m *metrics) CircuitOpen(open bool) { set(m.circuit, open) }

// RedisUp records whether Redis works.
func (m *metrics) RedisUp(up bool) { set(m.redis, up) }

func set(g prometheus.Gauge, on bool) {
	if on {
		g.Set(1)
	} else {
		g.Set(0)
	}
}
