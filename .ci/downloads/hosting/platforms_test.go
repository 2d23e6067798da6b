package hosting

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// flyApp has the names of Fly's reference that the recipe uses.
type flyApp struct {
	App           string `toml:"app"`
	PrimaryRegion string `toml:"primary_region"`
	KillSignal    string `toml:"kill_signal"`
	KillTimeout   string `toml:"kill_timeout"`
	Build         struct {
		Dockerfile string `toml:"dockerfile"`
	} `toml:"build"`
	Env   map[string]string `toml:"env"`
	Files []struct {
		GuestPath  string `toml:"guest_path"`
		SecretName string `toml:"secret_name"`
	} `toml:"files"`
	HTTPService struct {
		InternalPort       int    `toml:"internal_port"`
		ForceHTTPS         bool   `toml:"force_https"`
		AutoStopMachines   string `toml:"auto_stop_machines"`
		MinMachinesRunning int    `toml:"min_machines_running"`
		Concurrency        struct {
			Type      string `toml:"type"`
			SoftLimit int    `toml:"soft_limit"`
		} `toml:"concurrency"`
		Checks []struct {
			Method      string `toml:"method"`
			Path        string `toml:"path"`
			Interval    string `toml:"interval"`
			Timeout     string `toml:"timeout"`
			GracePeriod string `toml:"grace_period"`
		} `toml:"checks"`
	} `toml:"http_service"`
	VM []struct {
		Size   string `toml:"size"`
		Memory string `toml:"memory"`
	} `toml:"vm"`
}

func readFly(t *testing.T) flyApp {
	t.Helper()
	var app flyApp
	meta, err := toml.Decode(recipe(t, "fly.toml"), &app)
	require.NoError(t, err)
	require.Empty(t, meta.Undecoded())
	return app
}

func TestFly(t *testing.T) {
	app := readFly(t)
	assert.FileExists(t, root+"/"+app.Build.Dockerfile)
	assert.Equal(t, 8080, app.HTTPService.InternalPort)
	assert.Equal(t, "/readyz", app.HTTPService.Checks[0].Path)
	assert.Equal(t, app.Env["WHOP_LICENSE_SIGNING_KEY"], app.Files[0].GuestPath)
	requireStops(t, app.KillTimeout, app.Env)
	requireSettings(t, app.Env)
}

// renderBlueprint has the names of Render's reference that the recipe uses.
type renderBlueprint struct {
	Services []struct {
		Type, Name, Runtime, Plan string
		DockerfilePath            string `yaml:"dockerfilePath"`
		DockerContext             string `yaml:"dockerContext"`
		NumInstances              int    `yaml:"numInstances"`
		HealthCheckPath           string `yaml:"healthCheckPath"`
		MaxShutdownDelaySeconds   int    `yaml:"maxShutdownDelaySeconds"`
		EnvVars                   []struct {
			Key   string
			Value string
			Sync  *bool
		} `yaml:"envVars"`
	}
}

func readRender(t *testing.T) (blueprint renderBlueprint, env map[string]string) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(recipe(t, "render.yaml")))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&blueprint))
	env = map[string]string{}
	for _, v := range blueprint.Services[0].EnvVars {
		env[v.Key] = v.Value
	}
	return blueprint, env
}

func TestRender(t *testing.T) {
	blueprint, env := readRender(t)
	service := blueprint.Services[0]
	assert.FileExists(t, root+"/"+service.DockerfilePath)
	assert.Equal(t, "/readyz", service.HealthCheckPath)
	assert.Equal(t, "8080", env["PORT"], "Render's proxy asks the port that PORT names")
	requireStops(t, (time.Duration(service.MaxShutdownDelaySeconds) * time.Second).String(), env)
	requireSettings(t, env)
}

// requireStops checks that a gateway has the time to drain before it is killed.
func requireStops(t *testing.T, grace string, env map[string]string) {
	t.Helper()
	drain := env["WHOP_LICENSE_DRAIN"]
	if drain == "" {
		drain = "5s"
	}
	given, err := time.ParseDuration(grace)
	require.NoError(t, err)
	needed, err := time.ParseDuration(drain)
	require.NoError(t, err)
	assert.Greater(t, given, needed+5*time.Second)
}

// Each platform's way of writing X-Forwarded-For, as it documents it, with the
// settings of its recipe. The addresses are ../machine's.
func TestPlatformsForwarding(t *testing.T) {
	onMachine(t)
	_, render := readRender(t)
	for name, c := range map[string]struct {
		env      map[string]string
		proxy    string
		appended string // what follows the customer's address
	}{
		"Fly":        {readFly(t).Env, "172.19.0.2", ", 192.0.2.10"},
		"Render":     {render, "10.21.157.68", ", " + cloudflare},
		"Cloud Run":  {environmentOf(cloudRunContainer(t)), "169.254.1.1", ""},
		"Kubernetes": {environmentOf(kubernetesContainer(t)), "10.21.157.68", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for name, value := range c.env {
				if name != "WHOP_LICENSE_REDIS_URL" {
					env[name] = value
				}
			}
			url := startGateway(t, startSimulator(t), env, "--listen=127.0.0.1:0", "--metrics-listen=")
			gateway := front{url, strings.TrimPrefix(url, "http://")}
			gateway.requireToldApart(t, customer, another, func(customer, claimed string) (from, forwarded string) {
				if claimed != "" {
					claimed += ", "
				}
				return c.proxy, claimed + customer + c.appended
			})
		})
	}
}

// TestMachine names what ../machine lacks, before a test fails for it.
func TestMachine(t *testing.T) {
	onMachine(t)
	for _, address := range []string{customer, another, stranger, cloudflare, "10.21.157.68", "169.254.1.1", "172.19.0.2"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		require.NoError(t, err)
		require.NoError(t, listener.Close())
	}
	_, err := os.Stat(nginx)
	require.NoError(t, err)
}
