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

// warnings lists what in the settings works, but is likely a mistake.
func (s *settings) warnings(l *loaded) (list []string) {
	for _, status := range s.EntitledStatus {
		if !slices.Contains(whop.Statuses, status) {
			list = append(list, fmt.Sprintf("--entitled-status: Whop documents no status %q, only %s", status, strings.Join(whop.Statuses, ", ")))
		}
	}
	if slices.Contains(s.AllowedOrigin, api.NoOrigin) {
		list = append(list, "--allowed-origin: null lets any page call the gateway that makes a sandboxed frame; "+api.OfFiles)
	}
	if slices.Contains(s.AllowedOrigin, api.FileOrigin) {
		list = append(list, "--allowed-origin: file:// is not what every page from a file sends; "+api.OfFiles)
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
		list = append(list, "--upstream-url: its path does not end in /api/v1, where Whop's Current API is; elsewhere every license may look unknown")
	}
	if api.IsMisspelledSecret(l.webhookSecret) {
		list = append(list, "WHOP_WEBHOOK_SECRET: begins with whsec_, but base64 does not follow; copy it again unless Whop's dashboard shows it so")
	}
	if slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		list = append(list, "--trusted-proxies: every address is trusted, so that a client can choose under which one it is limited")
	}
	if !slices.Contains(whop.Versions, s.APIVersionDate) {
		list = append(list, fmt.Sprintf("--api-version-date: %s is none of the versions of Whop's API that this gateway was tested with (%s); whop-license-gateway doctor asks whether Whop has it", s.APIVersionDate, strings.Join(whop.Versions, ", ")))
	}
	if everywhere(s.MetricsListen) {
		list = append(list, "--metrics-listen: listens on every address of this machine, so that whoever reaches the port can read the metrics; give the address on which they are collected, such as 127.0.0.1:9090")
	}
	if l.certificate != nil {
		if wrong := outOfDate(l.certificate, time.Now()); wrong != "" {
			list = append(list, "--tls-cert: "+wrong)
		}
	}
	list = append(list, s.warningsOfACME(l)...)
	return append(list, unknownVariables(os.Environ())...)
}

// warningsOfACME lists what keeps a CA from giving a certificate.
func (s *settings) warningsOfACME(l *loaded) (list []string) {
	if l.acmeFolder == "" {
		return nil
	}
	host, port, _ := net.SplitHostPort(s.Listen)
	if ip, _ := netip.ParseAddr(host); ip.IsLoopback() || host == "localhost" || port != "443" {
		list = append(list, fmt.Sprintf("--listen: the CA and apps connect to port 443 of %s, and the gateway listens on %s; give --listen :443, or lead the port there", s.ACMEDomain[0], s.Listen))
	}
	if strings.HasPrefix(s.ACMECA, "https://acme-staging") {
		list = append(list, "--acme-ca: this CA is for tests, and no app trusts its certificates")
	}
	if info, err := os.Stat(l.acmeFolder); err == nil && !info.IsDir() {
		list = append(list, fmt.Sprintf("--acme-dir: %s is not a folder", l.acmeFolder))
	}
	for _, domain := range s.ACMEDomain {
		leaf, err := acme.Stored(l.acmeFolder, s.ACMECA, domain)
		if err != nil {
			list = append(list, "--acme-dir: "+err.Error())
		} else if leaf != nil && time.Now().After(leaf.NotAfter) {
			list = append(list, fmt.Sprintf("--acme-domain: the certificate for %s expired on %s, so that no app can connect until the CA gives another; the gateway's log says why it did not", domain, leaf.NotAfter.UTC().Format(time.DateTime)))
		}
	}
	return list
}

// everywhere reports whether an address to listen on, or none, is that of all of
// a machine's networks.
func everywhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, _ := netip.ParseAddr(host)
	return err == nil && (host == "" || ip.IsUnspecified())
}

// outOfDate says why no client takes a certificate at a time, or returns "".
func outOfDate(leaf *x509.Certificate, now time.Time) string {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Sprintf("the certificate expired on %s, so that no app can connect; renew it", leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		return fmt.Sprintf("the certificate is not good before %s; check this machine's clock", leaf.NotBefore.UTC().Format(time.DateTime))
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
			list = append(list, fmt.Sprintf("%s: there is no such setting; whop-license-gateway --help lists all", name))
		}
	}
	return list
}
