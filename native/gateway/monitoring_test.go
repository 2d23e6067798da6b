//go:build unix

package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// shown are the series at /metrics: the values of each label, by the series' name
// and the label's.
type shown map[string]map[string]map[string]bool

// scrape adds what a gateway shows at an address.
func (s shown) scrape(t *testing.T, addr string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	require.NoError(t, err)
	for name, family := range families {
		names := []string{name}
		if strings.HasSuffix(family.GetType().String(), "HISTOGRAM") {
			names = []string{name + "_bucket", name + "_sum", name + "_count"}
		}
		for _, name := range names {
			if s[name] == nil {
				s[name] = map[string]map[string]bool{}
			}
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					if s[name][l.GetName()] == nil {
						s[name][l.GetName()] = map[string]bool{}
					}
					s[name][l.GetName()][l.GetValue()] = true
				}
			}
		}
	}
}

// missing returns which names are shown here and not there.
func (s shown) missing(there shown) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s)), func(name string) bool { return there[name] != nil })
}

// showAll starts gateways of each kind, and returns what each of them shows once
// it has been asked.
func showAll(t *testing.T) (alone, withCertificate, withRedis shown) {
	t.Helper()
	key, dir := testKey("watched"), t.TempDir()
	sim := startSim(t, []fields{licensed(key)})
	writeCertificateUntil(t, dir, "license.example.com", time.Now().Add(time.Hour))
	start := func(args ...string) shown {
		addr, s := gatewaytest.FreeAddress(t), shown{}
		g := startGateway(t, sim, append(args, "--metrics-listen", addr)...)
		if strings.HasPrefix(g.url, "http:") {
			require.Equal(t, 201, g.validate(key, machine(1)).status)
		}
		s.scrape(t, addr)
		return s
	}
	return start(),
		start("--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem")),
		start("--redis-url", gatewaytest.StartRedis(t).URL())
}

// alert is one of monitoring/alerts.yaml.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readAlerts(t *testing.T) (all []alert) {
	t.Helper()
	b, err := os.ReadFile("monitoring/alerts.yaml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []alert } }
	require.NoError(t, yaml.Unmarshal(b, &file))
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// dashboardQueries returns the queries of monitoring/dashboard.json, by the titles
// of their panels.
func dashboardQueries(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("monitoring/dashboard.json")
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(b, &d))
	queries := map[string][]string{}
	for _, p := range d.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], strings.NewReplacer("$__rate_interval", "5m").Replace(target.Expr))
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// Every metric, label and value that an alert or the dashboard names is shown by a
// real gateway.
func TestMonitoringNamesWhatIsShown(t *testing.T) {
	t.Parallel()
	alone, withCertificate, withRedis := showAll(t)
	assert.Equal(t, []string{"whop_license_redis_up"}, withRedis.missing(alone))
	assert.Equal(t, []string{"whop_license_certificate_expiry_seconds"}, withCertificate.missing(alone))
	assert.Empty(t, alone.missing(withRedis))
	all := shown{"up": {}}
	for _, s := range []shown{alone, withCertificate, withRedis} {
		maps.Copy(all, s)
	}
	for _, a := range readAlerts(t) {
		all.assertNamed(t, a.Alert, a.Expr)
	}
	for title, queries := range dashboardQueries(t) {
		for _, query := range queries {
			all.assertNamed(t, title, query)
		}
	}
}

// assertNamed asserts that what a query names is shown.
func (s shown) assertNamed(t *testing.T, what, query string) {
	t.Helper()
	e, err := metricsql.Parse(query)
	require.NoError(t, err, what)
	labels, series := map[string]bool{"job": true, "instance": true}, 0
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		m, ok := e.(*metricsql.MetricExpr)
		if !ok {
			return
		}
		require.Len(t, m.LabelFilterss, 1, what)
		series++
		filters := m.LabelFilterss[0]
		name := filters[0].Value
		require.Equal(t, "__name__", filters[0].Label, what)
		assert.Contains(t, s, name, what)
		for label := range s[name] {
			labels[label] = true
		}
		labels["le"] = labels["le"] || strings.HasSuffix(name, "_bucket")
		for _, f := range filters[1:] {
			if f.Label == "job" || f.Label == "instance" {
				continue
			}
			for value := range strings.SplitSeq(f.Value, "|") {
				assert.True(t, s[name][f.Label][value], "%s: no %s{%s=%q} is shown", what, name, f.Label, value)
			}
		}
	})
	assert.Positive(t, series, what)
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		if a, ok := e.(*metricsql.AggrFuncExpr); ok {
			for _, label := range a.Modifier.Args {
				assert.True(t, labels[label], "%s: by %s, which no series has", what, label)
			}
		}
	})
}

// An alert says what happened and what to do, and is known to fire.
func TestAlertsAreWhole(t *testing.T) {
	tests, err := os.ReadFile("monitoring/alerts_test.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile("../../web/docs/operating.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, a := range readAlerts(t) {
		if _, job, found := strings.Cut(a.Expr, `{job="`); found {
			job, _, _ = strings.Cut(job, `"`)
			assert.Contains(t, string(page), "job_name: "+job+"\n")
		}
		assert.False(t, seen[a.Alert], "%s is there twice", a.Alert)
		seen[a.Alert] = true
		assert.NotEmpty(t, a.For, a.Alert)
		assert.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		assert.Equal(t, []string{"action", "runbook_url", "summary"}, slices.Sorted(maps.Keys(a.Annotations)), a.Alert)
		assert.Contains(t, a.Annotations["summary"], "{{ $labels.instance }}", a.Alert)
		assert.Regexp(t, `\.$`, a.Annotations["action"], a.Alert)
		assert.Regexp(t, `^https://github\.com/whop-license/whop-license/blob/main/web/docs/[a-z]+\.md#[a-z-]+$`, a.Annotations["runbook_url"], a.Alert)
		assert.Regexp(t, `(alertname="`+a.Alert+`"\}|alertname: `+a.Alert+`\n +eval_time: \w+\n +exp_alerts)`, string(tests), "%s has no test", a.Alert)
	}
}

// The documentation lists every metric, and no other.
func TestDocumentedMetricsAreThoseThatAreShown(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../web/docs/operating.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Metrics\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(whop_license_\\w+)`").FindAllStringSubmatch(section, -1) {
		documented[row[1]] = true
	}
	real := map[string]bool{}
	alone, withCertificate, withRedis := showAll(t)
	for _, s := range []shown{alone, withCertificate, withRedis} {
		for name := range s {
			if strings.HasPrefix(name, "whop_license_") {
				real[regexp.MustCompile("_(bucket|sum|count)$").ReplaceAllString(name, "")] = true
			}
		}
	}
	assert.Equal(t, slices.Sorted(maps.Keys(real)), slices.Sorted(maps.Keys(documented)))
}
