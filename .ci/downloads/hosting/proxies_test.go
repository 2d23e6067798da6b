package hosting

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Addresses that ../machine has: two customers, a stranger, and a server of
// Cloudflare's.
const (
	customer   = "198.51.100.1"
	another    = "198.51.100.2"
	stranger   = "203.0.113.9"
	cloudflare = "173.245.48.5"
)

// sameMachine are the settings that init writes.
var sameMachine = map[string]string{"WHOP_LICENSE_PRODUCT": product, "WHOP_LICENSE_TRUSTED_PROXIES": "127.0.0.1,::1"}

var public = front{"https://" + domain, "127.0.0.1:443"}

func TestCaddy(t *testing.T) {
	onMachine(t)
	// No certificate authority is here, so Caddy is its own.
	write(t, "/etc/caddy/Caddyfile", "{\n\tlocal_certs\n\tskip_install_trust\n\tadmin off\n}\n"+recipe(t, "/etc/caddy/Caddyfile"))
	output(t, "caddy", "validate", "--config", "/etc/caddy/Caddyfile")
	startGateway(t, startSimulator(t), sameMachine)
	caddy := exec.Command("caddy", "run", "--config", "/etc/caddy/Caddyfile")
	caddy.Env = append(caddy.Environ(), "HOME="+t.TempDir())
	start(t, caddy)
	public.answers(t)
	requireCertificate(t)
	public.requireToldApart(t, customer, another, direct)
}

// requireCertificate waits until Caddy has made the certificate.
func requireCertificate(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", public.address, &tls.Config{ServerName: domain, InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 30e9, 50e6)
}

// startNginx starts Debian's nginx with the recipe's files.
func startNginx(t *testing.T, files ...string) {
	t.Helper()
	folder := "/etc/letsencrypt/live/" + domain
	require.NoError(t, exec.Command("mkdir", "-p", folder, "/var/log/nginx", "/run").Run())
	output(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN="+domain,
		"-keyout", folder+"/privkey.pem", "-out", folder+"/fullchain.pem")
	for _, file := range files {
		write(t, file, recipe(t, file))
		t.Cleanup(func() { _ = exec.Command("rm", "-f", file).Run() })
	}
	output(t, nginx, "-t")
	start(t, exec.Command(nginx, "-g", "daemon off;"))
	t.Cleanup(func() { _ = exec.Command(nginx, "-s", "quit").Run() })
	public.answers(t)
}

const nginx = "/usr/sbin/nginx"

func TestNginx(t *testing.T) {
	onMachine(t)
	startGateway(t, startSimulator(t), sameMachine)
	startNginx(t, "/etc/nginx/conf.d/license.conf")
	public.requireToldApart(t, customer, another, direct)
}

func TestCloudflare(t *testing.T) {
	onMachine(t)
	startGateway(t, startSimulator(t), values(recipe(t, "/etc/whop-license-gateway/settings")))
	startNginx(t, "/etc/nginx/conf.d/license.conf", "/etc/nginx/conf.d/cloudflare.conf")
	edge := startCloudflare(t)
	edge.requireToldApart(t, customer, another, direct)
	assert.Equal(t, http.StatusForbidden, public.ask(t, stranger, "", "KEY-6"), "who goes around Cloudflare")
}

// startCloudflare starts what stands for Cloudflare: it appends the customer's
// address to what the customer sent, and connects from an address of Cloudflare's.
func startCloudflare(t *testing.T) front {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(cloudflare)}}
	target, err := url.Parse(public.url)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = domain
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{ServerName: domain, InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, public.address)
			},
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return front{"http://" + domain, listener.Addr().String()}
}

// The page names Cloudflare's networks three times.
func TestCloudflaresNetworks(t *testing.T) {
	trusted := strings.Split(values(recipe(t, "/etc/whop-license-gateway/settings"))["WHOP_LICENSE_TRUSTED_PROXIES"], ",")
	var allowed []string
	for _, found := range regexp.MustCompile(`(?m)^allow (\S+);$`).FindAllStringSubmatch(recipe(t, "/etc/nginx/conf.d/cloudflare.conf"), -1) {
		allowed = append(allowed, found[1])
	}
	assert.Len(t, allowed, 22)
	assert.Equal(t, append([]string{"127.0.0.1", "::1"}, allowed...), trusted)
	assert.Contains(t, recipe(t, "render.yaml"), "value: 10.0.0.0/8,"+strings.Join(allowed, ",")+"\n")
}
