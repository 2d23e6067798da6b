package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
	"golang.org/x/net/idna"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
	"github.com/whop-license/whop-license/shared/lease"
)

// settings holds the gateway's settings as the operator gave them. Each has a
// flag and an environment variable; secrets have no flag, because other users
// can read a program's arguments. [settings.load] reads and parses what they
// refer to.
type settings struct {
	Listen          string        `env:"WHOP_LICENSE_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address to listen on; port 0 picks a free port. The first line of output is the URL. Default: ${default}."`
	Product         []string      `env:"WHOP_LICENSE_PRODUCT" placeholder:"PROD_ID" help:"Product whose licenses are accepted; repeatable. Required. Licenses of other products are answered as not_found."`
	AllowedOrigin   []string      `env:"WHOP_LICENSE_ALLOWED_ORIGIN" placeholder:"ORIGIN" help:"Origin whose pages may call the gateway, such as https://app.example.com; repeatable. Without it, no page can."`
	EntitledStatus  []string      `env:"WHOP_LICENSE_ENTITLED_STATUS" default:"trialing,active,canceling,completed,past_due" placeholder:"STATUS" help:"Membership status that entitles a customer to use the product; repeatable. Default: ${default}."`
	MaxMachines     int           `env:"WHOP_LICENSE_MAX_MACHINES" default:"1" placeholder:"N" help:"Machines that may use one license, 1 to 25. Default: ${default}."`
	SellerMetadata  []string      `env:"WHOP_LICENSE_SELLER_METADATA" placeholder:"NAME" help:"Name of metadata that the seller stores for other purposes and that binds no machine; repeatable."`
	CacheTTL        time.Duration `env:"WHOP_LICENSE_CACHE_TTL" name:"cache-ttl" default:"5m" placeholder:"DURATION" help:"How long a valid license is answered from the cache, at most 1h; 0 asks Whop every time. Default: ${default}."`
	StaleIfError    time.Duration `env:"WHOP_LICENSE_STALE_IF_ERROR" default:"1h" placeholder:"DURATION" help:"While Whop can't be asked, how long a license that was valid stays valid for apps without leases, at most 72h; 0 turns this off. Default: ${default}."`
	RedisURL        string        `env:"WHOP_LICENSE_REDIS_URL" name:"redis-url" placeholder:"URL" help:"Redis that several gateways share: redis://, rediss:// or unix://. A single gateway needs none."`
	UpstreamURL     string        `env:"WHOP_LICENSE_UPSTREAM_URL" name:"upstream-url" default:"https://api.whop.com/api/v1" placeholder:"URL" help:"Base URL of Whop's API. Default: ${default}."`
	UpstreamTimeout time.Duration `env:"WHOP_LICENSE_UPSTREAM_TIMEOUT" default:"3s" placeholder:"DURATION" help:"Timeout for one call to Whop, 100ms to 10s. Default: ${default}."`
	UpstreamBudget  int           `env:"WHOP_LICENSE_UPSTREAM_BUDGET" default:"600" placeholder:"N" help:"Calls to Whop per minute, for each kind of call and all gateways together; 0 means no limit. Default: ${default}."`
	APIVersionDate  string        `env:"WHOP_LICENSE_API_VERSION_DATE" name:"api-version-date" default:"2025-01-01" placeholder:"VERSION" help:"Version of Whop's API to ask for, such as 2025-01-01 or 2026-08-05-1. Default: ${default}."`
	ClientLimit     int           `env:"WHOP_LICENSE_CLIENT_LIMIT" default:"300" placeholder:"N" help:"Look-ups per minute that one client address may cause; 0 means no limit. Answers from the cache don't count. Default: ${default}."`
	LicenseLimit    int           `env:"WHOP_LICENSE_LICENSE_LIMIT" default:"60" placeholder:"N" help:"Look-ups per minute for one license key; 0 means no limit. Default: ${default}."`
	SigningKey      []string      `env:"WHOP_LICENSE_SIGNING_KEY" type:"path" placeholder:"FILE" help:"File with a key that signs leases, as keygen writes it; repeatable. The first key signs; all are published. Without one, there are no leases."`
	LeaseTTL        time.Duration `env:"WHOP_LICENSE_LEASE_TTL" name:"lease-ttl" default:"24h" placeholder:"DURATION" help:"How long a lease is valid, 1m to 8760h. Default: ${default}."`
	OfflineGrace    time.Duration `env:"WHOP_LICENSE_OFFLINE_GRACE" default:"168h" placeholder:"DURATION" help:"How long after its expiry a lease may stand in while the gateway can't be reached, at most 8760h. Default: ${default}."`
	Issuer          string        `env:"WHOP_LICENSE_ISSUER" default:"whop-license-gateway" placeholder:"NAME" help:"Issuer named in leases; apps can require a specific one. Default: ${default}."`
	TrustedProxies  []string      `env:"WHOP_LICENSE_TRUSTED_PROXIES" placeholder:"CIDR" help:"Network of proxies whose X-Forwarded-For is trusted; repeatable."`
	MetricsListen   string        `env:"WHOP_LICENSE_METRICS_LISTEN" placeholder:"HOST:PORT" help:"Address for /metrics. Without it, metrics are not served."`
	Drain           time.Duration `env:"WHOP_LICENSE_DRAIN" default:"5s" placeholder:"DURATION" help:"After SIGTERM, how long new requests are still answered while /readyz already returns 503, at most 1m. Default: ${default}."`
	AuditLog        string        `env:"WHOP_LICENSE_AUDIT_LOG" type:"path" placeholder:"FILE" help:"File to which a line of JSON is appended for each binding, reset and release. Without it, there is no audit log."`
	TLSCert         string        `env:"WHOP_LICENSE_TLS_CERT" name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate chain in PEM, for HTTPS. Reloaded when it changes."`
	TLSKey          string        `env:"WHOP_LICENSE_TLS_KEY" name:"tls-key" type:"path" placeholder:"FILE" help:"Its private key in PEM."`
	ACMEDomain      []string      `env:"WHOP_LICENSE_ACME_DOMAIN" name:"acme-domain" placeholder:"NAME" help:"Domain for which the gateway gets and renews a certificate from a CA, instead of --tls-cert; repeatable."`
	ACMEEmail       string        `env:"WHOP_LICENSE_ACME_EMAIL" name:"acme-email" placeholder:"ADDRESS" help:"Email address at which the CA may contact you."`
	ACMEDir         string        `env:"WHOP_LICENSE_ACME_DIR" name:"acme-dir" type:"path" placeholder:"FOLDER" help:"Folder for those certificates and their private keys; several gateways may share it. Default: acme in systemd's state directory, or else in the user's configuration folder."`
	ACMECA          string        `env:"WHOP_LICENSE_ACME_CA" name:"acme-ca" default:"https://acme-v02.api.letsencrypt.org/directory" placeholder:"URL" help:"URL of the CA's ACME directory. Default: ${default}."`
	ACMEHTTPPort    int           `env:"WHOP_LICENSE_ACME_HTTP_PORT" name:"acme-http-port" default:"80" placeholder:"PORT" help:"Port that answers the CA's HTTP-01 challenges, and nothing else; 0 turns it off, so only TLS-ALPN-01 is left, on the port of --listen. Default: ${default}."`
	LogLevel        slog.Level    `env:"WHOP_LICENSE_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`

	ConfigCheck bool             `help:"Check the settings, without using the network, and exit."`
	Version     kong.VersionFlag `help:"Print the version and exit."`
}

// maxLease is the longest lifetime, and the longest grace period, that a lease
// may have: 8760 hours, a day less than apps accept.
const maxLease = lease.MaxLifetime*time.Second - 24*time.Hour

const description = `Answers Whop's retired validate_license call (API v2) from Whop's current API, and keeps the API key to itself.

Secrets come from the environment only: WHOP_API_KEY, or WHOP_API_KEY_FILE with the name of a file that holds it; WHOP_WEBHOOK_SECRET or WHOP_WEBHOOK_SECRET_FILE to take webhooks.

Other commands (add --help to each for more):
  init                         write the files that a gateway under systemd needs
  keygen [FILE]                make a signing key for leases
  license show|reset|release   show a license, and free its places
  doctor                       test everything that a license check needs
  healthcheck                  ask whether the gateway on this machine is ready`

// reporter records what is wrong with a setting.
type reporter func(format string, args ...any)

// AfterApply drops white space around values, which lists that people write have
// after commas, and files that Windows wrote at the end of each line. kong calls it.
func (s *settings) AfterApply() error {
	all := reflect.ValueOf(s).Elem()
	for i := range all.NumField() {
		switch field := all.Field(i).Addr().Interface().(type) {
		case *string:
			*field = strings.TrimSpace(*field)
		case *[]string:
			for i := range *field {
				(*field)[i] = strings.TrimSpace((*field)[i])
			}
		}
	}
	return nil
}

// check returns an error for each setting that is invalid or unsafe in itself.
// Each error names its setting.
func (s *settings) check() error {
	var errs []error
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	s.checkAddresses(report)
	s.checkACME(report)
	s.checkLicenses(report)
	s.checkTimes(report)
	s.checkUpstream(report)
	return errors.Join(errs...)
}

// checkAddresses checks the addresses to listen on, and the origins to answer.
func (s *settings) checkAddresses(report reporter) {
	checkAddress(report, "--listen", s.Listen)
	if s.MetricsListen != "" {
		checkAddress(report, "--metrics-listen", s.MetricsListen)
	}
	for _, o := range s.AllowedOrigin {
		if !api.IsOrigin(o) {
			report("--allowed-origin: %q is not an origin as browsers send it, such as https://app.example.com (lower case, no path, no default port); list each origin, as wildcards are not supported", o)
		}
	}
	if s.Drain < 0 || s.Drain > time.Minute {
		report("--drain: must be 0 to 1m")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		report("--tls-cert and --tls-key: give both or neither")
	}
}

// checkACME checks the settings for certificates from a CA.
func (s *settings) checkACME(report reporter) {
	if len(s.ACMEDomain) == 0 {
		if s.ACMEEmail != "" || s.ACMEDir != "" {
			report("--acme-email and --acme-dir: require --acme-domain, the domain to get a certificate for")
		}
		return
	}
	if s.TLSCert != "" || s.TLSKey != "" {
		report("--acme-domain and --tls-cert: give only one; the gateway either gets a certificate from a CA or reads one from files")
	}
	for i, name := range s.ACMEDomain {
		if wrong := wrongDomain(name); wrong != "" {
			report("--acme-domain: %s", wrong)
		} else if slices.Contains(s.ACMEDomain[:i], name) {
			report("--acme-domain: %q is given twice", name)
		}
	}
	if s.ACMEEmail != "" && !isEmail(s.ACMEEmail) {
		report("--acme-email: %q is not an email address", s.ACMEEmail)
	}
	if u, err := url.Parse(s.ACMECA); err != nil || u.Host == "" || u.User != nil || !isSecure(u) {
		report("--acme-ca: must be the https URL of a CA's ACME directory")
	}
	if s.ACMEHTTPPort < 0 || s.ACMEHTTPPort > 65535 {
		report("--acme-http-port: must be 0 to 65535")
	}
}

// wrongDomain says why a CA would issue no certificate for a name, or returns
// "".
func wrongDomain(name string) string {
	ascii, err := idna.Registration.ToASCII(name)
	top := ascii[strings.LastIndex(ascii, ".")+1:]
	if err == nil && strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		return fmt.Sprintf("%q has non-ASCII letters; write it as %s", name, ascii)
	}
	if err != nil || ascii != name || top == ascii || strings.Trim(top, "0123456789") == "" {
		return fmt.Sprintf("%q is not a domain name such as license.example.com (in lower case, without a port, wildcard or trailing dot, and not an IP address)", name)
	}
	return ""
}

func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text
}

// checkLicenses checks the settings that decide which licenses are valid, and
// for how many machines.
func (s *settings) checkLicenses(report reporter) {
	if len(s.Product) == 0 {
		report("--product: name at least one product; otherwise a license for any of the seller's products would be accepted")
	}
	for _, p := range s.Product {
		if !whop.IsID(p) {
			report("--product: %q is not a product id such as prod_AbCdEf123", p)
		}
		for prefix, what := range otherIDs {
			if strings.HasPrefix(p, prefix) {
				report("--product: %q is %s id; name the product, whose id begins with prod_", p, what)
			}
		}
	}
	if len(s.EntitledStatus) == 0 || slices.Contains(s.EntitledStatus, "") {
		report("--entitled-status: name at least one status")
	}
	if s.MaxMachines < 1 || s.MaxMachines > 25 {
		report("--max-machines: must be 1 to 25, because a license's metadata has room for 50 values")
	}
	if slices.Contains(s.SellerMetadata, "") {
		report("--seller-metadata: a name is empty")
	}
}

// checkTimes checks the durations for which answers and leases stay valid.
func (s *settings) checkTimes(report reporter) {
	if s.CacheTTL < 0 || s.CacheTTL > time.Hour {
		report("--cache-ttl: must be 0 to 1h")
	}
	if s.StaleIfError < 0 || s.StaleIfError > 72*time.Hour {
		report("--stale-if-error: must be 0 to 72h")
	}
	if s.LeaseTTL < time.Minute || s.LeaseTTL > maxLease || s.OfflineGrace < 0 || s.OfflineGrace > maxLease {
		report("--lease-ttl and --offline-grace: the first must be 1m to 8760h, the second 0 to 8760h")
	}
	if s.Issuer == "" || len(s.Issuer) > 200 {
		report("--issuer: must be 1 to 200 characters")
	}
}

// checkUpstream checks the settings for calls to Whop.
func (s *settings) checkUpstream(report reporter) {
	if s.UpstreamTimeout < 100*time.Millisecond || s.UpstreamTimeout > 10*time.Second {
		report("--upstream-timeout: must be 100ms to 10s")
	}
	if s.UpstreamBudget < 0 || (s.UpstreamBudget > 0 && s.UpstreamBudget < 10) {
		report("--upstream-budget: must be at least 10, or 0 for no limit")
	}
	if s.ClientLimit < 0 || s.LicenseLimit < 0 {
		report("--client-limit and --license-limit: must not be negative")
	}
	if !whop.IsVersion(s.APIVersionDate) {
		report("--api-version-date: %q is not a date such as 2025-01-01, nor a date and a counter such as 2026-08-05-1", s.APIVersionDate)
	}
}

// otherIDs maps the prefixes of ids that are easily mistaken for a product's to
// what they identify.
var otherIDs = map[string]string{"biz_": "a company's", "plan_": "a plan's", "mem_": "a membership's", "user_": "a user's"}

func checkAddress(report reporter, flag, text string) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		report("%s: %q is not HOST:PORT", flag, text)
	}
}
