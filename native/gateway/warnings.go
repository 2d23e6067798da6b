package main

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"

	"github.com/whop-license/whop-license/native/gateway/internal/acme"
	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

// warnings lists settings that work but are likely mistakes.
func (s *settings) warnings(l *loaded) (list []string) {
	for _, status := range s.EntitledStatus {
		if !slices.Contains(whop.Statuses, status) {
			list = append(list, fmt.Sprintf("--entitled-status: Whop documents no status %q, only %s", status, strings.Join(whop.Statuses, ", ")))
		}
	}
	if slices.Contains(s.AllowedOrigin, api.NoOrigin) {
		list = append(list, "--allowed-origin: null lets any page that creates a sandboxed frame call the gateway; "+api.FileOriginAdvice)
	}
	if slices.Contains(s.AllowedOrigin, api.FileOrigin) {
		list = append(list, "--allowed-origin: not every page from a file sends file://; "+api.FileOriginAdvice)
	}
	if slices.Contains(s.SellerMetadata, "HWID") {
		list = append(list, "--seller-metadata: HWID is what apps usually send; an app that sends it is now refused")
	}
	for _, p := range s.Product {
		if !strings.HasPrefix(p, "prod_") && !strings.HasPrefix(p, "pass_") { // the latter in older documentation
			list = append(list, fmt.Sprintf("--product: %q does not look like a product's id, which begins with prod_", p))
		}
	}
	if !strings.HasSuffix(l.upstream.Path, "/api/v1") {
		list = append(list, "--upstream-url: its path does not end in /api/v1, where Whop's Current API is; with another path, every license may look unknown")
	}
	if api.IsMisspelledSecret(l.webhookSecret) {
		list = append(list, "WHOP_WEBHOOK_SECRET: begins with whsec_, but what follows is not base64; copy it again, unless Whop's dashboard shows exactly this")
	}
	if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		list = append(list, "--trusted-proxies: every address is trusted, so a client can evade its rate limit by making up addresses in X-Forwarded-For")
	}
	if !slices.Contains(whop.Versions, s.APIVersionDate) {
		list = append(list, fmt.Sprintf("--api-version-date: %s is not one of the versions of Whop's API that this gateway was tested with (%s); run whop-license-gateway doctor to see whether Whop accepts it", s.APIVersionDate, strings.Join(whop.Versions, ", ")))
	}
	if everywhere(s.MetricsListen) {
		list = append(list, "--metrics-listen: listens on every address of this machine, so anyone who can reach the port can read the metrics; give a private address, such as 127.0.0.1:9090")
	}
	if l.certificate != nil {
		if wrong := outOfDate(l.certificate, time.Now()); wrong != "" {
			list = append(list, "--tls-cert: "+wrong)
		}
	}
	list = append(list, s.warningsOfACME(l)...)
	return append(list, unknownVariables(os.Environ())...)
}

// warningsOfACME lists what may keep a CA from issuing a certificate.
func (s *settings) warningsOfACME(l *loaded) (list []string) {
	if l.acmeFolder == "" {
		return nil
	}
	host, port, _ := net.SplitHostPort(s.Listen)
	if ip, _ := netip.ParseAddr(host); ip.IsLoopback() || host == "localhost" || port != "443" {
		list = append(list, fmt.Sprintf("--listen: the CA and apps connect to port 443 of %s, but the gateway listens on %s; give --listen :443, or forward port 443 to it", s.ACMEDomain[0], s.Listen))
	}
	if strings.HasPrefix(s.ACMECA, "https://acme-staging") {
		list = append(list, "--acme-ca: this is a test CA, whose certificates no app trusts")
	}
	if info, err := os.Stat(l.acmeFolder); err == nil && !info.IsDir() {
		list = append(list, fmt.Sprintf("--acme-dir: %s is not a folder", l.acmeFolder))
	}
	for _, domain := range s.ACMEDomain {
		leaf, err := acme.Stored(l.acmeFolder, s.ACMECA, domain)
		if err != nil {
			list = append(list, "--acme-dir: "+err.Error())
		} else if leaf != nil && time.Now().After(leaf.NotAfter) {
			list = append(list, fmt.Sprintf("--acme-domain: the certificate for %s expired on %s, so no app can connect until the CA issues a new one; the gateway's log says why it was not renewed", domain, leaf.NotAfter.UTC().Format(time.DateTime)))
		}
	}
	return list
}

// everywhere reports whether an address to listen on means every network
// interface of the machine.
func everywhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, _ := netip.ParseAddr(host)
	return err == nil && (host == "" || ip.IsUnspecified())
}

// outOfDate says why clients reject a certificate at a given time, or returns
// "".
func outOfDate(leaf *x509.Certificate, now time.Time) string {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("the certificate expired on %s, so no app can connect; renew it", leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("the certificate is not valid before %s; check this machine's clock", leaf.NotBefore.UTC().Format(time.DateTime))
	}
	return ""
}

// variablePrefix is what the environment variables of all settings begin with, and
// secretPrefix that of the secrets. Others have variables with the latter, too.
const (
	variablePrefix = "WHOP_LICENSE_"
	secretPrefix   = "WHOP_"
)

// unknownVariables warns of variables that look like settings, and that nothing
// reads. Their values may be secrets and are not shown.
func unknownVariables(environment []string) (list []string) {
	known := map[string]string{"WHOP_LICENSE_SIDECAR": "WHOP_LICENSE_SIDECAR"} // the npm package reads it
	for _, field := range reflect.VisibleFields(reflect.TypeFor[settings]()) {
		if name := field.Tag.Get("env"); name != "" {
			known[name] = name
		}
	}
	for _, name := range []string{"API_KEY", "API_KEY_FILE", "WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE"} {
		known[secretPrefix+name], known[variablePrefix+name] = secretPrefix+name, secretPrefix+name
	}
	names := slices.Sorted(maps.Keys(known))
	for _, variable := range environment {
		name, _, _ := strings.Cut(variable, "=")
		nearest := slices.MinFunc(names, func(a, b string) int {
			return levenshtein.ComputeDistance(a, name) - levenshtein.ComputeDistance(b, name)
		})
		distance := levenshtein.ComputeDistance(nearest, name)
		switch {
		case known[name] == name || !strings.HasPrefix(name, secretPrefix):
		case distance <= 2 || distance <= 4 && strings.HasPrefix(name, variablePrefix):
			list = append(list, fmt.Sprintf("%s: there is no such setting; did you mean %s?", name, known[nearest]))
		case strings.HasPrefix(name, variablePrefix):
			list = append(list, fmt.Sprintf("%s: there is no such setting; whop-license-gateway --help lists all settings", name))
		}
	}
	return list
}
