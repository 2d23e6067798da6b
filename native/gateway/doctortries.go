package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/whop-license/whop-license/native/gateway/internal/acme"
	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/native/gateway/internal/cluster"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
)

const (
	// tryTime is the timeout of each test.
	tryTime = 10 * time.Second
	// maxSkew is how far this machine's clock may be off Whop's. A webhook is valid
	// for five minutes, and leases get this machine's time.
	maxSkew = time.Minute
	// renewalDue is how long before it expires a certificate should have been
	// renewed.
	renewalDue = 7 * 24 * time.Hour
	// maxTried bounds how much of an answer is read.
	maxTried = 64 << 10
)

// tryFiles checks whether other users can read files with secrets.
func (d *doctor) tryFiles() {
	files := append([]string{d.settings.TLSKey, d.settings.AuditLog, d.getenv("WHOP_API_KEY_FILE"), d.getenv("WHOP_WEBHOOK_SECRET_FILE")}, d.settings.SigningKey...)
	open := false
	for _, file := range files {
		info, err := os.Stat(file)
		if file == "" || err != nil || runtime.GOOS == "windows" { // file modes mean nothing on Windows
			continue
		}
		if info.Mode().Perm()&0o007 != 0 {
			open = true
			d.bad("files", "every user of this machine can open %s (mode %04o); run: chmod o= %s", file, info.Mode().Perm(), file)
		}
	}
	if !open {
		d.good("files", "no file with a secret is open to every user")
	}
}

// tryClock compares this machine's clock with Whop's.
func (d *doctor) tryClock(ctx context.Context) {
	a, err := d.ask(ctx, http.MethodGet, d.loaded.upstream.String(), nil)
	if err != nil {
		d.bad("clock", "can't get the time from Whop: %v", err)
		return
	}
	theirs, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		d.say("note", "clock", "can't compare it: Whop's answer has no Date header")
		return
	}
	if off := time.Since(theirs).Round(time.Second); off.Abs() > maxSkew {
		d.bad("clock", "this machine's clock is off by %s, and webhooks and leases depend on it; turn on NTP", off)
		return
	}
	d.good("clock", "it is accurate")
}

// tryWhop tests the API key, its permissions, and the version. It reports
// whether Whop accepts this API key.
func (d *doctor) tryWhop(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if err := d.whop.ProbeLookUp(ctx); err != nil {
		d.bad("look-up", "%s", whop.Advice(err))
		return false
	}
	d.good("look-up", "Whop accepts the API key and the version %s", d.settings.APIVersionDate)
	if err := d.whop.ProbeWrite(ctx); err != nil {
		d.bad("binding", "%s", whop.Advice(err))
	} else {
		d.good("binding", "the API key may change memberships")
	}
	return true
}

// tryRedis tests what gateways need from Redis.
func (d *doctor) tryRedis(ctx context.Context, tags tag.Tagger, log *slog.Logger) {
	if d.loaded.redis == nil {
		d.say("skip", "Redis", "not needed for a single gateway; for several, set --redis-url")
		return
	}
	store := cluster.NewStore(d.loaded.redis, tags, log)
	defer func() { _ = store.Close() }()
	condition, err := store.Examine(ctx)
	switch {
	case err != nil:
		d.bad("Redis", "%v", err)
	case !condition.MayInfo:
		d.say("note", "Redis", "the user may not run INFO, so gateways don't notice when another Redis takes over and locks are lost; give it +info")
	case condition.Eviction != "noeviction":
		d.bad("Redis", "its maxmemory-policy is %s, so it may evict locks; set maxmemory-policy noeviction", condition.Eviction)
	default:
		d.good("Redis", "writes, scripts and messages work, and nothing is evicted")
	}
}

// tryCertificate checks the certificate files. What apps see is tested at the
// public URL.
func (d *doctor) tryCertificate(ctx context.Context) {
	if d.loaded.acmeFolder != "" {
		d.tryCA(ctx)
		return
	}
	leaf := d.loaded.certificate
	if leaf == nil {
		d.say("skip", "certificate", "the gateway serves plain HTTP, so a proxy in front of it must serve HTTPS")
		return
	}
	if d.public != nil {
		if err := leaf.VerifyHostname(d.public.Hostname()); err != nil {
			d.bad("certificate", "--tls-cert: %v", err)
			return
		}
	}
	d.reportExpiry(leaf, "--tls-cert")
}

// tryCA asks the CA, and checks the certificates that it has issued.
func (d *doctor) tryCA(ctx context.Context) {
	if a, err := d.ask(ctx, http.MethodGet, d.settings.ACMECA, nil); err != nil {
		d.bad("CA", "can't reach %s: %v", d.settings.ACMECA, err)
	} else if a.status != http.StatusOK {
		d.bad("CA", "%s answers with status %d; is it a CA's ACME directory?", d.settings.ACMECA, a.status)
	} else {
		d.good("CA", "%s answers", d.settings.ACMECA)
	}
	if d.public != nil && !slices.Contains(d.settings.ACMEDomain, d.public.Hostname()) {
		d.bad("certificate", "--acme-domain: does not list %s, so the gateway gets no certificate for it", d.public.Hostname())
	}
	for _, domain := range d.settings.ACMEDomain {
		leaf, err := acme.Stored(d.loaded.acmeFolder, d.settings.ACMECA, domain)
		if err != nil {
			d.bad("certificate", "--acme-dir: %v", err)
		} else if leaf == nil {
			d.bad("certificate", "%s: there is none in %s; the running gateway's log says why the CA issued none", domain, d.loaded.acmeFolder)
		} else {
			d.reportExpiry(leaf, domain)
		}
	}
}

// reportExpiry prints how long a certificate is still valid.
func (d *doctor) reportExpiry(leaf *x509.Certificate, which string) {
	left := time.Until(leaf.NotAfter)
	if wrong := outOfDate(leaf, time.Now()); wrong != "" {
		d.bad("certificate", "%s: %s", which, wrong)
	} else if left < renewalDue {
		d.bad("certificate", "%s: expires in %d days; find out why it was not renewed", which, int(left.Hours()/24))
	} else {
		d.good("certificate", "%s: valid for %d more days", which, int(left.Hours()/24))
	}
}

// tryGateway tests the running gateway as apps, browsers and Whop see it.
func (d *doctor) tryGateway(ctx context.Context) {
	base := d.public.String()
	check := base + "/api/v2/memberships/PROBE-" + rand.Text() + "/validate_license"
	a, err := d.ask(ctx, http.MethodPost, check, []byte(`{"metadata":{}}`), "Content-Type", "application/json")
	if err != nil {
		d.bad("gateway", "%s can't be reached: %v", base, err)
		return
	}
	if a.certificate != nil {
		d.reportExpiry(a.certificate, base)
	}
	if a.status != http.StatusNotFound || a.code() != "not_found" {
		d.bad("gateway", "%s answers a made-up license key with status %d, %q, instead of 404, \"not_found\": the gateway's log says why, or something else answers there", base, a.status, a.code())
		return
	}
	d.good("gateway", "%s refuses a made-up license key, as it should", base)
	d.trySigningKeys(ctx, base)
	for _, origin := range d.settings.AllowedOrigin {
		a, err := d.ask(ctx, http.MethodOptions, check, nil, "Origin", origin, "Access-Control-Request-Method", http.MethodPost, "Access-Control-Request-Headers", "content-type")
		if err != nil || a.header.Get("Access-Control-Allow-Origin") != origin {
			d.bad("origin", "%s may not call the gateway: it was started with other settings, or a proxy in front of it changes the answer", origin)
		} else {
			d.good("origin", "%s may call the gateway", origin)
		}
	}
	d.tryWebhook(ctx, base)
}

// trySigningKeys checks whether the gateway publishes the keys from the
// settings.
func (d *doctor) trySigningKeys(ctx context.Context, base string) {
	if len(d.settings.SigningKey) == 0 {
		d.say("note", "signing key", "there is none, so nothing is signed; make one with keygen")
		return
	}
	a, err := d.ask(ctx, http.MethodGet, base+"/.well-known/jwks.json", nil)
	var published struct{ Keys []struct{ Kid string } }
	if err == nil {
		err = json.Unmarshal(a.body, &published)
	}
	for _, file := range d.settings.SigningKey {
		key, keyErr := readSigningKey(file)
		if err != nil || keyErr != nil || !slices.ContainsFunc(published.Keys, func(k struct{ Kid string }) bool { return k.Kid == key.KeyID }) {
			d.bad("signing key", "the gateway does not publish %s; it was started with other settings", file)
			return
		}
	}
	d.good("signing key", "the gateway publishes it")
}

// tryWebhook sends an event of a type that Whop doesn't have, which a gateway
// with the same secret accepts and ignores.
func (d *doctor) tryWebhook(ctx context.Context, base string) {
	if d.loaded.webhookSecret == "" {
		d.say("note", "webhook", "WHOP_WEBHOOK_SECRET is not set, so a cancellation takes effect after up to %s", d.settings.CacheTTL)
		return
	}
	body, id, now := []byte(`{"type":"whop_license.doctor","data":{}}`), "msg_doctor_"+rand.Text(), time.Now()
	signer, err := standardwebhooks.NewWebhookRaw(api.WebhookKey(d.loaded.webhookSecret))
	var signature string
	if err == nil {
		signature, err = signer.Sign(id, now, body)
	}
	var a tried
	if err == nil {
		a, err = d.ask(ctx, http.MethodPost, base+"/webhooks/whop", body, standardwebhooks.HeaderWebhookID, id,
			standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10), standardwebhooks.HeaderWebhookSignature, signature)
	}
	switch {
	case err != nil:
		d.bad("webhook", "%v", err)
	case a.status == http.StatusUnauthorized:
		d.bad("webhook", "the gateway rejects a webhook signed with WHOP_WEBHOOK_SECRET: it was started with another secret, or its clock is wrong")
	case a.status != http.StatusNoContent:
		d.bad("webhook", "the gateway answers a webhook with status %d: it was started without WHOP_WEBHOOK_SECRET, or a proxy in front answers", a.status)
	default:
		d.good("webhook", "the gateway accepts webhooks signed with WHOP_WEBHOOK_SECRET; check in Whop's dashboard that Whop uses the same secret")
	}
}

// tried is the answer to something that was tried.
type tried struct {
	status      int
	header      http.Header
	body        []byte
	certificate *x509.Certificate // nil: not over HTTPS
}

// code is the code of a gateway's error.
func (a tried) code() string {
	var e struct{ Error struct{ Code string } }
	_ = json.Unmarshal(a.body, &e)
	return e.Error.Code
}

// ask sends a request, through the proxy from the environment if there is one,
// and follows no redirect.
func (d *doctor) ask(ctx context.Context, method, url string, body []byte, header ...string) (tried, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return tried{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) {
			return tried{}, fmt.Errorf("its certificate is not from a trusted CA, or the chain is incomplete; --tls-cert must contain the full chain: %w", err)
		}
		return tried{}, err
	}
	defer resp.Body.Close()
	a := tried{status: resp.StatusCode, header: resp.Header}
	if resp.TLS != nil {
		a.certificate = resp.TLS.PeerCertificates[0]
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxTried))
	return a, err
}
