// Package monitoring holds nothing but the alerts and the dashboard for gateways.
package monitoring

import (
	"errors"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The dashboard is one in Grafana's own schema: no member that it doesn't know, no
// value that it doesn't allow.
func TestDashboardFitsGrafanasSchema(t *testing.T) {
	known := cog.NewRuntime()
	known.RegisterPanelcfgVariant(stat.VariantConfig())
	known.RegisterPanelcfgVariant(timeseries.VariantConfig())
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	b, err := os.ReadFile("dashboard.json")
	require.NoError(t, err)
	//lint:ignore SA1019 Every Grafana imports this schema, and only new ones its successor.
	var d dashboard.Dashboard
	for _, err := range []error{d.UnmarshalJSONStrict(b), d.Validate()} {
		var found cog.BuildErrors // which may be none
		require.True(t, err == nil || errors.As(err, &found), err)
		assert.Empty(t, found)
	}
	assert.NotEmpty(t, d.Panels)
}
