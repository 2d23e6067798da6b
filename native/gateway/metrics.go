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
	"github.com/whop-license/whop-license/shared/version"
)

// metrics counts what the gateway does. No label holds a license, a machine or
// a client, so the number of series is fixed. It is what each of the internal
// packages asks for as its Metrics.
type metrics struct {
	registry    *prometheus.Registry
	validations *prometheus.CounterVec
	duration    prometheus.Histogram
	cacheUse    *prometheus.CounterVec
	upstreamAsk *prometheus.HistogramVec
	bindings    *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	stale       prometheus.Counter
	circuit     prometheus.Gauge
	redis       prometheus.Gauge
	connections prometheus.Gauge
	connsClosed *prometheus.CounterVec
	limited     *prometheus.CounterVec

	// The series of the common cases, so that they are found without a search.
	valid, hit, miss prometheus.Counter
	lookUpOK         prometheus.Observer
}

// lookUp is the operation of a look-up, as [whop.Metrics] names it.
const lookUp = "look_up"

func newMetrics() *metrics {
	const ns = "whop_license"
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		validations: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "validations_total", Help: "Validations by outcome: a verdict, or the code of the error."}, []string{"outcome"}),
		duration:    prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Name: "validation_seconds", Help: "Time to answer a validation.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}),
		cacheUse:    prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "cache_total", Help: "Validations answered from the cache (hit) or not (miss)."}, []string{"result"}),
		upstreamAsk: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Name: "upstream_seconds", Help: "Calls to Whop by operation and result; calls that were held back take no time.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"operation", "result"}),
		bindings:    prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "bindings_total", Help: "First uses: bound, refused (no lock to be had), lost (Whop did not store it), altered (Whop stored it in another form)."}, []string{"result"}),
		webhooks:    prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "webhooks_total", Help: "Webhooks: applied, ignored, repeated, refused, failed."}, []string{"result"}),
		stale:       prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Name: "stale_total", Help: "Validations answered from older knowledge because Whop could not be asked."}),
		circuit:     prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Name: "circuit_open", Help: "1 while Whop is not asked because it was failing."}),
		redis:       prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Name: "redis_up", Help: "1 while Redis works. Only where there is a Redis."}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Name: "connections", Help: "Open connections of clients and proxies."}),
		connsClosed: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "connections_closed_total", Help: "Connections that were closed to make room or not taken: because one client holds its share (client), or because the gateway holds no more (all)."}, []string{"limit"}),
		limited:     prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "rate_limited_total", Help: "Validations that were answered 429, by the limit: of a client, of a client's unknown license keys (unknown_keys), of a license."}, []string{"limit"}),
	}
	m.valid = m.validations.WithLabelValues(check.Valid.String())
	m.hit, m.miss = m.cacheUse.WithLabelValues("hit"), m.cacheUse.WithLabelValues("miss")
	m.lookUpOK = m.upstreamAsk.WithLabelValues(lookUp, "ok")
	m.registry.MustRegister(m.validations, m.duration, m.cacheUse, m.upstreamAsk, m.bindings, m.webhooks, m.stale, m.circuit, m.connections, m.connsClosed, m.limited, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// buildInfo is always 1, and its labels say which gateway this is.
func buildInfo() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "whop_license", Name: "build_info", Help: "Always 1; the labels say which gateway this is.",
		ConstLabels: prometheus.Labels{"version": version.Version, "goversion": runtime.Version()}}, func() float64 { return 1 })
}

// showRedis adds how Redis does, where there is one.
func (m *metrics) showRedis() { m.registry.MustRegister(m.redis) }

// showCertificate adds when the certificate in use expires, where there is HTTPS.
func (m *metrics) showCertificate(c certificates) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "whop_license", Name: "certificate_expiry_seconds", Help: "When the certificate in use expires, in Unix seconds; 0 while the CA has given none. Only with --tls-cert or --acme-domain."}, func() float64 {
		return float64(c.Expiry().Unix())
	}))
}

// handler serves the metrics, and beside them what tells of the gateway's health,
// which can be asked here however many connections strangers hold.
func (m *metrics) handler(health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", health)
	mux.Handle("GET /readyz", health)
	return mux
}

// showQuota shows what is left of the quota for calls to Whop, by what it counts.
func (m *metrics) showQuota(counts []string, left func(ctx context.Context, count string) float64) {
	for _, count := range counts {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "whop_license", Name: "quota_left", ConstLabels: prometheus.Labels{"operation": count},
			Help: "Calls to Whop that may be made at once, by operation; look_up_unknown is what is left for license keys that were never seen good.",
		}, func() float64 { return left(context.Background(), count) }))
	}
}

// Validated counts a validation by its outcome.
func (m *metrics) Validated(outcome string, took time.Duration) {
	if outcome == check.Valid.String() {
		m.valid.Inc()
	} else {
		m.validations.WithLabelValues(outcome).Inc()
	}
	m.duration.Observe(took.Seconds())
}

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

// Bound counts a first use.
func (m *metrics) Bound(result string) { m.bindings.WithLabelValues(result).Inc() }

// WebhookTaken counts a webhook.
func (m *metrics) WebhookTaken(result string) { m.webhooks.WithLabelValues(result).Inc() }

// AnsweredStale counts a validation that was answered from an older look-up.
func (m *metrics) AnsweredStale() { m.stale.Inc() }

// ConnectionsOpen tells how many connections are open.
func (m *metrics) ConnectionsOpen(n int) { m.connections.Set(float64(n)) }

// ConnectionClosed counts a connection that was closed to make room, or not taken.
func (m *metrics) ConnectionClosed(limit string) { m.connsClosed.WithLabelValues(limit).Inc() }

// Limited counts a validation that was answered 429.
func (m *metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }

// CircuitOpen tells whether Whop is left alone because it was failing.
func (m *metrics) CircuitOpen(open bool) { set(m.circuit, open) }

// RedisUp tells whether Redis works.
func (m *metrics) RedisUp(up bool) { set(m.redis, up) }

func set(g prometheus.Gauge, on bool) {
	if on {
		g.Set(1)
	} else {
		g.Set(0)
	}
}
