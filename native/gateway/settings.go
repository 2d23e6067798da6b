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

// settings are the gateway's, as they are given: data and nothing else. Each has
// a flag and an environment variable; secrets have no flag, because others can
// read a program's arguments. What they name is read and parsed by
// [settings.load].
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
	Drain           time.Duration `env:"WHOP_LICENSE_DRAIN" default:"5s" placeholder:"DURATION" help:"How long after SIGTERM, when /readyz says no already, new requests are still answered, at most 1m. Default: ${default}."`
	AuditLog        string        `env:"WHOP_LICENSE_AUDIT_LOG" type:"path" placeholder:"FILE" help:"File that gets a line of JSON for each binding, reset and release. Without it there is none."`
	TLSCert         string        `env:"WHOP_LICENSE_TLS_CERT" name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate chain in PEM, for HTTPS. Read again when it changes."`
	TLSKey          string        `env:"WHOP_LICENSE_TLS_KEY" name:"tls-key" type:"path" placeholder:"FILE" help:"Its private key in PEM."`
	ACMEDomain      []string      `env:"WHOP_LICENSE_ACME_DOMAIN" name:"acme-domain" placeholder:"NAME" help:"Domain that a certificate is got for from a CA, and renewed, in place of one in files; repeatable."`
	ACMEEmail       string        `env:"WHOP_LICENSE_ACME_EMAIL" name:"acme-email" placeholder:"ADDRESS" help:"Where the CA may write to."`
	ACMEDir         string        `env:"WHOP_LICENSE_ACME_DIR" name:"acme-dir" type:"path" placeholder:"FOLDER" help:"Where those certificates and their private keys are kept; several gateways may share it. Default: acme in systemd's state directory, or else in the user's configuration."`
	ACMECA          string        `env:"WHOP_LICENSE_ACME_CA" name:"acme-ca" default:"https://acme-v02.api.letsencrypt.org/directory" placeholder:"URL" help:"The CA's directory. Default: ${default}."`
	ACMEHTTPPort    int           `env:"WHOP_LICENSE_ACME_HTTP_PORT" name:"acme-http-port" default:"80" placeholder:"PORT" help:"Port on which the CA's HTTP-01 challenges are answered, and nothing else; 0 leaves TLS-ALPN-01, on the port of --listen. Default: ${default}."`
	LogLevel        slog.Level    `env:"WHOP_LICENSE_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error. Default: ${default}."`

	ConfigCheck bool             `help:"Check the settings, without using the network, and exit."`
	Version     kong.VersionFlag `help:"Print the version and exit."`
}

// maxLease is the longest life, and the longest grace, that a lease may be given:
// 8760 hours, a day less than what apps accept.
const maxLease = lease.MaxLifetime*time.Second - 24*time.Hour

const description = `Answers Whop's retired validate_license call (API v2) from Whop's current API, and keeps the API key to itself.

Secrets come from the environment only: WHOP_API_KEY, or WHOP_API_KEY_FILE with the name of a file that holds it; WHOP_WEBHOOK_SECRET or WHOP_WEBHOOK_SECRET_FILE to take webhooks.

Other commands (--help after each says more):
  init                         write the files that a gateway under systemd needs
  keygen [FILE]                make a signing key for leases
  license show|reset|release   show a license, and free its places
  doctor                       try everything that a license check needs
  healthcheck                  ask whether the gateway on this machine is ready`

// refuser notes what is wrong with a setting.
type refuser func(format string, args ...any)

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

// check returns what could not work or would not be safe in the settings
// themselves. Its errors name the setting.
func (s *settings) check() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	s.checkAddresses(refuse)
	s.checkACME(refuse)
	s.checkLicenses(refuse)
	s.checkTimes(refuse)
	s.checkUpstream(refuse)
	return errors.Join(errs...)
}

// checkAddresses checks where the gateway listens, and to whom.
func (s *settings) checkAddresses(refuse refuser) {
	checkAddress(refuse, "--listen", s.Listen)
	if s.MetricsListen != "" {
		checkAddress(refuse, "--metrics-listen", s.MetricsListen)
	}
	for _, o := range s.AllowedOrigin {
		if !api.IsOrigin(o) {
			refuse("--allowed-origin: %q is not an origin as browsers send it, such as https://app.example.com (lower case, no path, no default port); name each origin, as there is no wildcard", o)
		}
	}
	if s.Drain < 0 || s.Drain > time.Minute {
		refuse("--drain: must be 0 to 1m")
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		refuse("--tls-cert and --tls-key: give both or neither")
	}
}

// checkACME checks how a certificate is got from a CA.
func (s *settings) checkACME(refuse refuser) {
	if len(s.ACMEDomain) == 0 {
		if s.ACMEEmail != "" || s.ACMEDir != "" {
			refuse("--acme-email and --acme-dir: need --acme-domain, the domain that a certificate is wanted for")
		}
		return
	}
	if s.TLSCert != "" || s.TLSKey != "" {
		refuse("--acme-domain and --tls-cert: give only one; the gateway gets a certificate from a CA, or reads one from files")
	}
	for i, name := range s.ACMEDomain {
		if wrong := wrongDomain(name); wrong != "" {
			refuse("--acme-domain: %s", wrong)
		} else if slices.Contains(s.ACMEDomain[:i], name) {
			refuse("--acme-domain: %q is given twice", name)
		}
	}
	if s.ACMEEmail != "" && !isEmail(s.ACMEEmail) {
		refuse("--acme-email: %q is not an email address", s.ACMEEmail)
	}
	if u, err := url.Parse(s.ACMECA); err != nil || u.Host == "" || u.User != nil || !isSecure(u) {
		refuse("--acme-ca: is not the https URL of a CA's directory")
	}
	if s.ACMEHTTPPort < 0 || s.ACMEHTTPPort > 65535 {
		refuse("--acme-http-port: must be 0 to 65535")
	}
}

// wrongDomain says why a text is no domain that a CA gives certificates for, or
// returns "".
func wrongDomain(name string) string {
	ascii, err := idna.Registration.ToASCII(name)
	top := ascii[strings.LastIndex(ascii, ".")+1:]
	if err == nil && strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		return fmt.Sprintf("%q has letters other than ASCII's; write it as %s", name, ascii)
	}
	if err != nil || ascii != name || top == ascii || strings.Trim(top, "0123456789") == "" {
		return fmt.Sprintf("%q is not a name such as license.example.com (in lower case, without port, wildcard or a dot at the end, and not an address)", name)
	}
	return ""
}

func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text
}

// checkLicenses checks which licenses are good, and for how many machines.
func (s *settings) checkLicenses(refuse refuser) {
	if len(s.Product) == 0 {
		refuse("--product: name at least one product; without it a license of any product of the seller would do")
	}
	for _, p := range s.Product {
		if !whop.IsID(p) {
			refuse("--product: %q is not a product id such as prod_AbCdEf123", p)
		}
		for prefix, what := range otherIDs {
			if strings.HasPrefix(p, prefix) {
				refuse("--product: %q is %s id; name the product, whose id begins with prod_", p, what)
			}
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
}

// checkTimes checks how long what is known is good.
func (s *settings) checkTimes(refuse refuser) {
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
}

// checkUpstream checks how Whop is asked, and how often.
func (s *settings) checkUpstream(refuse refuser) {
	if s.UpstreamTimeout < 100*time.Millisecond || s.UpstreamTimeout > 10*time.Second {
		refuse("--upstream-timeout: must be 100ms to 10s")
	}
	if s.UpstreamBudget < 0 || (s.UpstreamBudget > 0 && s.UpstreamBudget < 10) {
		refuse("--upstream-budget: must be at least 10, or 0 for no limit")
	}
	if s.ClientLimit < 0 || s.LicenseLimit < 0 {
		refuse("--client-limit and --license-limit: must not be negative")
	}
	if !whop.IsVersion(s.APIVersionDate) {
		refuse("--api-version-date: %q is not a date such as 2025-01-01, nor a date and a counter such as 2026-08-05-1", s.APIVersionDate)
	}
}

// otherIDs are what ids begin with that can be mistaken for a product's.
var otherIDs = map[string]string{"biz_": "a company's", "plan_": "a plan's", "mem_": "a membership's", "user_": "a user's"}

func checkAddress(refuse refuser, flag, text string) {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		refuse("%s: %q is not HOST:PORT", flag, text)
	}
}
