package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
	"golang.org/x/net/http/httpproxy"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/shared/license"
)

// loaded holds what the settings and the environment refer to, read and parsed.
type loaded struct {
	apiKey        string
	webhookSecret string // empty: webhooks are not accepted
	proofs        api.Proofs
	upstream      *url.URL
	redis         *redis.Options // nil: a single gateway
	trusted       []netip.Prefix
	certificate   *x509.Certificate // from --tls-cert; nil: none is given
	acmeFolder    string            // for certificates from a CA; empty: no CA is used
}

// load checks the settings and reads what they refer to. Its error lists
// everything that is invalid or unsafe, and contains no secret.
func (s *settings) load(getenv func(string) string) (*loaded, error) {
	l := &loaded{}
	errs := []error{s.check()}
	note := func(err error) { errs = append(errs, err) }
	var err error
	if l.apiKey, err = secret(getenv, "WHOP_API_KEY"); err == nil && l.apiKey == "" {
		err = errors.New("WHOP_API_KEY: set it to the API key, or WHOP_API_KEY_FILE to a file that holds it")
	}
	note(err)
	l.webhookSecret, err = secret(getenv, "WHOP_WEBHOOK_SECRET")
	note(err)
	l.proofs, err = newProofs(s)
	note(err)
	l.upstream, err = parseUpstream(s.UpstreamURL)
	note(err)
	note(checkProxy(l.upstream))
	if s.RedisURL != "" {
		l.redis, err = parseRedis(s.RedisURL)
		note(err)
	}
	if s.AuditLog != "" {
		note(checkAudit(s.AuditLog))
	}
	l.trusted, err = parseNetworks(s.TrustedProxies)
	note(err)
	if s.TLSCert != "" && s.TLSKey != "" {
		if c, err := newCertificate(s.TLSCert, s.TLSKey, slog.New(slog.DiscardHandler)); err != nil {
			note(fmt.Errorf("--tls-cert and --tls-key: %w", err))
		} else {
			l.certificate = c.current.Leaf
		}
	}
	if len(s.ACMEDomain) > 0 {
		l.acmeFolder, err = acmeFolder(s, getenv)
		note(err)
	}
	return l, errors.Join(errs...)
}

// maxSecretFile bounds a file that is said to hold a secret.
const maxSecretFile = 16 << 10

// secret reads a secret from the environment, or from the file that it names.
func secret(getenv func(string) string, name string) (string, error) {
	value, file := getenv(name), getenv(name+"_FILE")
	if value != "" && file != "" {
		return "", fmt.Errorf("%s and %s_FILE: give only one", name, name)
	}
	if file != "" {
		b, err := readStart(file, maxSecretFile+1)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", name, err)
		}
		if value = string(b); strings.TrimSpace(value) == "" {
			return "", fmt.Errorf("%s_FILE: the file is empty", name)
		}
		if len(value) > maxSecretFile {
			return "", fmt.Errorf("%s_FILE: the file is too long to hold a secret alone", name)
		}
	}
	value = strings.TrimSpace(value)
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("%s: contains white space or a character that Whop's secrets never contain", name)
		}
	}
	if strings.ContainsAny(value[:min(1, len(value))], `"'`) || strings.HasSuffix(value, `"`) || strings.HasSuffix(value, "'") {
		return "", fmt.Errorf("%s: begins or ends with a quotation mark; write it without quotation marks", name)
	}
	return value, nil
}

// parseUpstream parses the base URL of Whop's API. If it has no path, the
// Current API's path is added.
func parseUpstream(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return nil, errors.New("--upstream-url: is not a URL such as https://api.whop.com/api/v1")
	}
	if !isSecure(u) {
		return nil, errors.New("--upstream-url: must be https, or http on a loopback address, as the API key is sent there")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	if u.Path == "" {
		u.Path = "/api/v1"
	}
	return u, nil
}

// isSecure reports whether nobody between here and the server can read or change
// what is sent: the URL is https, or http on a loopback address.
func isSecure(u *url.URL) bool {
	host := strings.TrimSuffix(u.Host, ":"+u.Port()) // unlike Hostname, with an IPv6 address's brackets
	return u.Scheme == "https" || u.Scheme == "http" && license.IsLoopback(host)
}

// checkProxy rejects a proxy URL that can't be used. Its error does not quote
// the URL, which may contain a password.
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

// parseRedis parses the address of the one Redis that gateways share. Its
// errors don't quote it, because it may contain a password.
func parseRedis(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	query := func(name string) bool { return err == nil && u.Query().Has(name) }
	scheme, _, _ := strings.Cut(text, ":")
	if strings.Contains(scheme, "sentinel") || query("master_name") {
		return nil, errors.New("--redis-url: Redis Sentinel is not supported; give an address that always leads to the primary, such as that of a proxy in front of it")
	}
	if strings.Contains(scheme, "cluster") || strings.Contains(text, ",") || query("addr") {
		return nil, errors.New("--redis-url: Redis Cluster and lists of addresses are not supported; give one address of a Redis without cluster mode, and write a comma in a password as %2C")
	}
	options, err := redis.ParseURL(text)
	if err != nil {
		return nil, errors.New("--redis-url: is not a URL such as redis://127.0.0.1:6379/0, rediss://… or unix:///run/redis.sock")
	}
	return options, nil
}

// parseNetworks parses the addresses and networks of trusted proxies.
func parseNetworks(texts []string) (list []netip.Prefix, err error) {
	var errs []error
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if addr, err2 := netip.ParseAddr(text); err != nil && err2 == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // clients' addresses are compared as IPv4
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--trusted-proxies: %q is not an address or a network such as 10.0.0.0/8", text))
			continue
		}
		list = append(list, p.Masked())
	}
	return list, errors.Join(errs...)
}
