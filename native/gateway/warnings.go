package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

// ofFiles says what pages from files send, and what to do instead.
const ofFiles = "a page from a file sends file:// where Electron's fuse grantFileProtocolExtraPrivileges is on, as it is by default, and null where the fuse is off; serve your page from a scheme of its own, such as app://my-app, and allow that, or let the app's main process decide, which needs no origin"

// warnings lists what in the settings works, but is likely a mistake.
func (s *settings) warnings(l *loaded) (list []string) {
	for _, status := range s.EntitledStatus {
		if !slices.Contains(whop.Statuses, status) {
			list = append(list, fmt.Sprintf("--entitled-status: Whop documents no status %q, only %s", status, strings.Join(whop.Statuses, ", ")))
		}
	}
	if slices.Contains(s.AllowedOrigin, noOrigin) {
		list = append(list, "--allowed-origin: null lets any page call the gateway that makes a sandboxed frame; "+ofFiles)
	}
	if slices.Contains(s.AllowedOrigin, fileOrigin) {
		list = append(list, "--allowed-origin: file:// is not what every page from a file sends; "+ofFiles)
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
	return list
}
