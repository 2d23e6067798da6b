package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"
	"golang.org/x/net/http/httpproxy"
)

// settings are the gateway's. Each has a flag and an environment variable;
// secrets have no flag, because others can read a program's arguments.
type settings struct {
	Listen          string        `env:"WHOP_LICENSE_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes a free one. The URL is the first line of output. Default: ${default}."`
	Product         []string      `env:"WHOP_LICENSE_PRODUCT" placeholder:"PROD_ID" help:"Product whose licenses are accepted; repeatable. Required: a seller's other products are unknown here."`
	AllowedOrigin   []string      `env:"WHOP_LICENSE_ALLOWED_ORIGIN" placeholder:"ORIGIN" help:"Origin whose pages may call the gateway, such as https://app.example.com; repeatable. Without it no page may."`
	EntitledStatus  []string      `env:"WHOP_LICENSE_ENTITLED_STATUS" default:"trialing,active,canceling,completed,past_due" placeholder:"STATUS" help:"Membership status that entitles to use; repeatable. Default: ${default}."`
	MaxMachines     int           `env:"WHOP_LICENSE_MAX_MACHINES" default:"1" placeholder:"N" help:"Machines that may use one license, 1 to 25. Default: ${default}."`
	SellerMetadata  []string      `env:"WHOP_LICENSE_SELLER_METADATA" placeholder:"NAME" help:"Name of metadata that the seller stores for other ends and that binds nothing; repeatable."`
	CacheTTL        time.Duration `env:"WHOP_LICENSE_CACHE_TTL" name:"cache-ttl" default:"5m" placeholder:"DURATION" help:"How long a good license is not asked about again, at most 1h; 0 asks every time. Default: ${default}."`
	StaleIfError    time.Duration `env:"WHOP_LICENSE_STALE_IF_ERROR" default:"1h" placeholder:"DURATION" help:"How long a license that was good stays good for apps without leases while Whop can't be asked, at most 72h; 0 is not at all. Default: ${default}."`
	RedisURL        string        `env:"WHOP_LICENSE_REDIS_URL" name:"redis-url" placeholder:"URL" help:"Redis that several gateways share: redis://, rediss:// or unix://. A single gateway needs none."`
	UpstreamURL     string        `env:"WHOP_LICENSE_UPSTREAM_URL" name:"upstream-url" default:"https://api.whop.com/api/v1" placeholder:"URL" help:"Base of Whop's API. Default: ${default}."`
	UpstreamTimeout time.Duration `env:"WHOP_LICENSE_UPSTREAM_TIMEOUT" default:"3s" placeholder:"DURATION" help:"Time for one call to Whop, 100ms to 10s. Default: ${default}."`
	UpstreamBudget  int           `env:"WHOP_LICENSE_UPSTREAM_BUDGET" default:"600" placeholder:"N" help:"Calls a minute of each kind to Whop, by all gateways together; 0 is no limit. Default: ${default}."`
	APIVersionDate  string        `env:"WHOP_LICENSE_API_VERSION_DATE" name:"api-version-date" default:"2025-01-01" placeholder:"VERSION" help:"Version of Whop's API to ask for, such as 2025-01-01 or 2026-08-05-1. Default: ${default}."`
	ClientLimit     int           `env:"WHOP_LICENSE_CLIENT_LIMIT" default:"300" placeholder:"N" help:"Look-ups a minute that one client address may cause; 0 is no limit. Answers from the cache don't count. Default: ${default}."`
	LicenseLimit    int           `env:"WHOP_LICENSE_LICENSE_LIMIT" default:"60" placeholder:"N" help:"Look-ups a minute of one license key; 0 is no limit. Default: ${default}."`
	SigningKey      []string      `env:"WHOP_LICENSE_SIGNING_KEY" type:"path" placeholder:"FILE" help:"Key that leases are signed with, as keygen writes it; repeatable. The first signs, all are published. Without one there are no leases."`
	LeaseTTL        time.Duration `env:"WHOP_LICENSE_LEASE_TTL" name:"lease-ttl" default:"24h" placeholder:"DURATION" help:"How long a lease is good for, 1m to 8760h. Default: ${default}."`
	OfflineGrace    time.Duration `env:"WHOP_LICENSE_OFFLINE_GRACE" default:"168h" placeholder:"DURATION" help:"How long past that it may stand in while the gateway can't be reached, at most 8760h. Default: ${default}."`
	Issuer          string        `env:"WHOP_LICENSE_ISSUER" default:"whop-license-gateway" placeholder:"NAME" help:"The leases' issuer; apps may ask for a certain one. Default: ${default}."`
	TrustedProxies  []string      `env:"WHOP_LICENSE_TRUSTED_PROXIES" placeholder:"CIDR" help:"Network of proxies whose X-Forwarded-For is believed; repeatable."`
	MetricsListen   string        `env:"WHOP_LICENSE_METRICS_LISTEN" placeholder:"HOST:PORT" help:"Address for /metrics. Without it there are none."`
	TLSCert         string        `env:"WHOP_LICENSE_TLS_CERT" name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate chain in PEM, for HTTPS. Read again when it changes."`
	TLSKey          string        `env:"WHOP_LICENSE_TLS_KEY" name:"tls-key" type:"path" placeholder:"FILE" help:"Its private key in PEM."`
	LogLevel        slog.Level    `env:"WHOP_LICENSE_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`

	ConfigCheck bool             `help:"Check the settings, without using the network, and exit."`
	Version     kong.VersionFlag `help:"Print the version and exit."`

	apiKey        string
	webhookSecret string
	leases        *leases // nil without a signing key
	upstream      *url.URL
	redis         *redis.Options
	trusted       []netip.Prefix
}

// maxLease is the longest that an app takes a lease's life or its grace for.
const maxLease = 365 * 24 * time.Hour

const description = `Answers Whop's retired validate_license call (API v2) from Whop's current API, and keeps the API key to itself.

Secrets come from the environment only: WHOP_API_KEY, or WHOP_API_KEY_FILE with the name of a file that holds it; WHOP_WEBHOOK_SECRET or WHOP_WEBHOOK_SECRET_FILE to take webhooks.

A signing key for leases is made by: whop-license-gateway keygen FILE`

// check completes the settings and refuses what could not work or would not be
// safe. Its errors name the setting and hold no secret.
func (s *settings) check(getenv func(string) string) error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	var err error
	if s.apiKey, err = secret(getenv, "WHOP_API_KEY"); err != nil {
		errs = append(errs, err)
	} else if s.apiKey == "" {
		refuse("WHOP_API_KEY: set it to the API key, or WHOP_API_KEY_FILE to a file that holds it")
	}
	if s.webhookSecret, err = secret(getenv, "WHOP_WEBHOOK_SECRET"); err != nil {
		errs = append(errs, err)
	}
	checkAddress(refuse, "--listen", s.Listen)
	if s.MetricsListen != "" {
		checkAddress(refuse, "--metrics-listen", s.MetricsListen)
	}
	if len(s.Product) == 0 {
		refuse("--product: name at least one product; without it a license of any product of the seller would do")
	}
	for _, p := range s.Product {
		if !isID(p) {
			refuse("--product: %q is not a product id such as prod_AbCdEf123", p)
		}
		for prefix, what := range otherIDs {
			if strings.HasPrefix(p, prefix) {
				refuse("--product: %q is %s id; name the product, whose id begins with prod_", p, what)
			}
		}
	}
	for _, o := range s.AllowedOrigin {
		if !isOrigin(o) {
			refuse("--allowed-origin: %q is not an origin as browsers send it, such as https://app.example.com (lower case, no path, no default port); name each origin, as there is no wildcard", o)
		}
	}
	if len(s.EntitledStatus) == 0 || slices.Contains(s.EntitledStatus, "") {
		refuse("--entitled-status: name at least one status")
	}
	if s.MaxMachines < 1 || s.MaxMachines > 25 {
		refuse("--max-machines: must be 1 to 25, as a license's metadata has room for 50 values")
	}
	if slices.Contains(s.SellerMetadata, "") {
		refuse("--seller-metadata: a name is empty")
	}
	if s.CacheTTL < 0 || s.CacheTTL > time.Hour {
		refuse("--cache-ttl: must be 0 to 1h")
	}
	if s.StaleIfError < 0 || s.StaleIfError > 72*time.Hour {
		refuse("--stale-if-error: must be 0 to 72h")
	}
	if s.LeaseTTL < time.Minute || s.LeaseTTL > maxLease || s.OfflineGrace < 0 || s.OfflineGrace > maxLease {
		refuse("--lease-ttl and --offline-grace: must be 1m to 8760h and 0 to 8760h")
	}
	if s.Issuer == "" || len(s.Issuer) > 200 {
		refuse("--issuer: must be 1 to 200 characters")
	}
	if s.leases, err = newLeases(s); err != nil {
		errs = append(errs, err)
	}
	if s.UpstreamTimeout < 100*time.Millisecond || s.UpstreamTimeout > 10*time.Second {
		refuse("--upstream-timeout: must be 100ms to 10s")
	}
	if s.UpstreamBudget < 0 || (s.UpstreamBudget > 0 && s.UpstreamBudget < 10) {
		refuse("--upstream-budget: must be at least 10, or 0 for no limit")
	}
	if s.ClientLimit < 0 || s.LicenseLimit < 0 {
		refuse("--client-limit and --license-limit: must not be negative")
	}
	if !isAPIVersion(s.APIVersionDate) {
		refuse("--api-version-date: %q is not a date such as 2025-01-01, nor a date and a counter such as 2026-08-05-1", s.APIVersionDate)
	}
	if s.upstream, err = parseUpstream(s.UpstreamURL); err != nil {
		errs = append(errs, err)
	}
	if err := checkProxy(s.upstream); err != nil {
		errs = append(errs, err)
	}
	if s.RedisURL != "" {
		if s.redis, err = parseRedis(s.RedisURL); err != nil {
			errs = append(errs, err)
		}
	}
	for _, text := range s.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if addr, err2 := netip.ParseAddr(text); err != nil && err2 == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // clients' addresses are compared as IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if err != nil {
			refuse("--trusted-proxies: %q is not an address or a network such as 10.0.0.0/8", text)
			continue
		}
		s.trusted = append(s.trusted, p.Masked())
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		refuse("--tls-cert and --tls-key: give both or neither")
	} else if s.TLSCert != "" {
		if _, err := newCertificate(s.TLSCert, s.TLSKey, slog.New(slog.DiscardHandler)); err != nil {
			refuse("--tls-cert and --tls-key: %w", err)
		}
	}
	return errors.Join(errs...)
}

// otherIDs are what ids begin with that can be mistaken for a product's.
var otherIDs = map[string]string{"biz_": "a company's", "plan_": "a plan's", "mem_": "a membership's", "user_": "a user's"}

// isAPIVersion reports whether text has the form of a version of Whop's API: a
// date, or a date and a counter.
func isAPIVersion(text string) bool {
	if !anyVersion.MatchString(text) || anyVersion.FindString(text) != text {
		return false
	}
	_, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
	return err == nil
}

// warnings says what in settings that can work is likely not meant.
func (s *settings) warnings() (list []string) {
	for _, status := range s.EntitledStatus {
		if !slices.Contains(documentedStatuses, status) {
			list = append(list, fmt.Sprintf("--entitled-status: Whop documents no status %q, only %s", status, strings.Join(documentedStatuses, ", ")))
		}
	}
	if slices.Contains(s.AllowedOrigin, noOrigin) {
		list = append(list, "--allowed-origin: null lets pages from files call the gateway, and with them any page that makes a sandboxed frame; serve your page from a scheme of its own, such as app://my-app, and allow that instead")
	}
	if slices.Contains(s.SellerMetadata, "HWID") {
		list = append(list, "--seller-metadata: HWID is what apps usually send; an app that sends it is now refused")
	}
	for _, p := range s.Product {
		if !strings.HasPrefix(p, "prod_") && !strings.HasPrefix(p, "pass_") { // the latter in older documentation
			list = append(list, fmt.Sprintf("--product: %q does not look like a product's id, which begins with prod_", p))
		}
	}
	if !strings.HasSuffix(s.upstream.Path, "/api/v1") {
		list = append(list, "--upstream-url: its path does not end in /api/v1, where Whop's Current API is; elsewhere every license may look unknown")
	}
	if strings.HasPrefix(s.webhookSecret, encodedPrefix) && encodedKey(s.webhookSecret) == nil {
		list = append(list, "WHOP_WEBHOOK_SECRET: begins with whsec_, but base64 does not follow; copy it again unless Whop's dashboard shows it so")
	}
	if slices.ContainsFunc(s.trusted, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		list = append(list, "--trusted-proxies: every address is trusted, so that a client can choose under which one it is limited")
	}
	return list
}

// secret reads a secret from the environment, or from the file that it names.
func secret(getenv func(string) string, name string) (string, error) {
	value, file := getenv(name), getenv(name+"_FILE")
	if value != "" && file != "" {
		return "", fmt.Errorf("%s and %s_FILE: give only one", name, name)
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", name, err)
		}
		if value = string(b); strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("%s_FILE: the file is empty", name)
		}
	}
	value = strings.TrimSpace(value)
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("%s: holds white space or a character that can't be in a secret of Whop's", name)
		}
	}
	return value, nil
}

func checkAddress(refuse func(string, ...any), flag, text string) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		refuse("%s: %q is not HOST:PORT", flag, text)
	}
}

// noOrigin is what browsers send for a page without an origin: one from a file,
// and one in a sandboxed frame.
const noOrigin = "null"

// isOrigin reports whether text is what a browser sends as Origin, letter by
// letter: anything else would never match.
func isOrigin(text string) bool {
	if text == noOrigin || text == "file://" { // the latter by Electron
		return true
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || text != u.Scheme+"://"+u.Host {
		return false
	}
	defaultPort := u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
	return !defaultPort && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c > '~' || c >= 'A' && c <= 'Z' || c == '*' || c == ','
	})
}

// parseUpstream reads the base of Whop's API. Where it has no path, the path of
// the Current API is meant.
func parseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return nil, errors.New("--upstream-url: is not a URL such as https://api.whop.com/api/v1")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("--upstream-url: must be https, or http on a loopback address, as the API key is sent there")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	if u.Path == "" {
		u.Path = "/api/v1"
	}
	return u, nil
}

// checkProxy refuses a proxy for the upstream that could never be reached. Its
// URL may hold a password.
func checkProxy(upstream *url.URL) error {
	if upstream == nil {
		return nil
	}
	proxy, err := httpproxy.FromEnvironment().ProxyFunc()(upstream)
	if err == nil && (proxy == nil || proxy.Hostname() != "" && strings.Trim(proxy.Path, "/") == "" && !strings.HasSuffix(proxy.Host, ":")) {
		return nil
	}
	return errors.New("HTTPS_PROXY or HTTP_PROXY: is not a URL such as http://proxy.example.com:3128")
}

// parseRedis reads the address of the one Redis that gateways share. Its errors
// don't quote it, as it may hold a password.
func parseRedis(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	query := func(name string) bool { return err == nil && u.Query().Has(name) }
	scheme, _, _ := strings.Cut(text, ":")
	if strings.Contains(scheme, "sentinel") || query("master_name") {
		return nil, errors.New("--redis-url: names Sentinels, which are not asked for the primary; give the address under which the primary is always reached, such as that of a proxy in front")
	}
	if strings.Contains(scheme, "cluster") || strings.Contains(text, ",") || query("addr") {
		return nil, errors.New("--redis-url: names a Redis Cluster or several addresses, which is not supported; give one address of a Redis without cluster mode, and write a comma in a password as %2C")
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, errors.New("--redis-url: is not a URL such as redis://127.0.0.1:6379/0, rediss://… or unix:///run/redis.sock")
	}
	return options, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
