package hosting

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// loadCompose reads the Compose file as `docker compose` does, which checks it
// against the schema.
func loadCompose(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, "native/gateway/compose.yaml")},
		cli.WithProfiles(profiles), cli.WithEnv([]string{"WHOP_LICENSE_PRODUCT=" + product}), cli.WithResolvedPaths(true))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func composeEnvironment(service types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for name, value := range service.Environment {
		if value != nil && *value != "" {
			env[name] = *value
		}
	}
	return env
}

func TestComposeOfOne(t *testing.T) {
	project := loadCompose(t, "one")
	assert.Equal(t, []string{"gateway"}, project.ServiceNames())
	gateway := project.Services["gateway"]
	assert.Equal(t, root, gateway.Build.Context)
	assert.FileExists(t, filepath.Join(gateway.Build.Context, gateway.Build.Dockerfile))
	assert.Equal(t, "127.0.0.1", gateway.Ports[0].HostIP)
	assert.EqualValues(t, 8080, gateway.Ports[0].Target)
	env := composeEnvironment(gateway)
	assert.NotContains(t, env, "WHOP_LICENSE_REDIS_URL")
	requireComposeSecrets(t, gateway, env)
	requireSettings(t, env)
}

// requireComposeSecrets checks that each file that the settings name is mounted.
func requireComposeSecrets(t *testing.T, service types.ServiceConfig, env map[string]string) {
	t.Helper()
	mounted := map[string]bool{}
	for _, secret := range service.Secrets {
		mounted["/run/secrets/"+secret.Source] = true
	}
	assert.Contains(t, mounted, env["WHOP_API_KEY_FILE"])
	assert.Contains(t, mounted, env["WHOP_LICENSE_SIGNING_KEY"])
}

func TestComposeOfThree(t *testing.T) {
	project := loadCompose(t, "cluster")
	assert.Equal(t, []string{"gateway-1", "gateway-2", "gateway-3", "proxy", "redis"}, project.ServiceNames())
	for _, name := range []string{"gateway-1", "gateway-2", "gateway-3"} {
		service := project.Services[name]
		assert.Empty(t, service.Ports, "only the proxy is reached from outside")
		env := composeEnvironment(service)
		assert.Equal(t, "redis://redis:6379/0", env["WHOP_LICENSE_REDIS_URL"])
		requireComposeSecrets(t, service, env)
		requireSettings(t, env)
	}
}

// The three gateways, Redis and nginx of the Compose file, each started as the
// file says, under the names that it gives them.
func TestComposeOfThreeTogether(t *testing.T) {
	onMachine(t)
	project := loadCompose(t, "cluster")
	hosts, err := os.OpenFile("/etc/hosts", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	for n, name := range []string{"redis", "gateway-1", "gateway-2", "gateway-3"} {
		fmt.Fprintf(hosts, "127.0.1.%d %s\n", n, name)
	}
	require.NoError(t, hosts.Close())

	redis := exec.Command(project.Services["redis"].Command[0], append(project.Services["redis"].Command[1:], "--bind", "127.0.1.0", "--dir", t.TempDir())...)
	start(t, redis)
	front{address: "127.0.1.0:6379"}.answers(t)

	whop := startSimulator(t)
	for n := 1; n <= 3; n++ {
		name := fmt.Sprint("gateway-", n)
		env := composeEnvironment(project.Services[name])
		// On this machine, the proxy has none of Docker's addresses.
		env["WHOP_LICENSE_TRUSTED_PROXIES"] += ",127.0.0.0/8"
		startGateway(t, whop, env, "--listen="+name+":8080")
	}
	write(t, "/etc/nginx/conf.d/default.conf", project.Configs["nginx"].Content)
	require.NoError(t, os.RemoveAll("/etc/nginx/sites-enabled/default"))
	output(t, nginx, "-t")
	start(t, exec.Command(nginx, "-g", "daemon off;"))
	t.Cleanup(func() {
		_ = exec.Command(nginx, "-s", "quit").Run()
		_ = os.Remove("/etc/nginx/conf.d/default.conf")
	})
	proxy := front{"http://" + domain, "127.0.0.1:80"}
	proxy.answers(t)

	// Each gateway counts by itself: of ten look-ups, a customer gets one at each,
	// whoever the customer claims to be, and another customer gets them too.
	for n, from := range []string{customer, another} {
		statuses := map[int]int{}
		for i := range 10 {
			statuses[proxy.ask(t, from, fmt.Sprintf("203.0.113.%d", i), fmt.Sprint("KEY-", 10*n+i))]++
		}
		good := statuses[http.StatusCreated]
		assert.True(t, good >= 1 && good <= 3, statuses)
		assert.Equal(t, 10-good, statuses[http.StatusTooManyRequests], statuses)
	}
}
