package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// The permissions that Whop documents for the operations simulated here.
const (
	permBasicRead    = "member:basic:read"
	permEmailRead    = "member:email:read"
	permManage       = "member:manage"
	permProductsRead = "access_pass:basic:read"
)

var permissions = []string{permBasicRead, permEmailRead, permManage, permProductsRead}

type config struct {
	Listen         string           `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address to listen on; port 0 picks a free port. The first line of output is the URL. Default: ${default}."`
	APIKey         string           `name:"api-key" default:"whopsim-api-key" placeholder:"KEY" help:"The API key that callers must send as a bearer token. Default: ${default}."`
	Memberships    string           `type:"existingfile" placeholder:"FILE" help:"JSON file with an array of memberships; each needs a license_key. Without it there are none."`
	CORSOrigin     []string         `name:"cors-origin" sep:"none" placeholder:"ORIGIN" help:"Origin whose pages may call the API; repeatable. '*' allows all. Without it, no page can."`
	RateLimit      int              `default:"100" placeholder:"N" help:"v2 requests allowed per 10 s, then a 60 s cool-down; 0 means no limit. Default: ${default}."`
	RateLimitV1    int              `name:"rate-limit-v1" default:"600" placeholder:"N" help:"v1 requests allowed per minute and operation; 0 means no limit. Default: ${default}."`
	APIKeyVersion  string           `name:"api-key-version" placeholder:"DATE" help:"The API key's version, which applies to requests without Api-Version-Date. Default: the latest, as for a new key."`
	RetryAfter     bool             `help:"Send a Retry-After header with a 429. Whop documents none."`
	PatchSemantics string           `default:"version" enum:"version,merge,replace" help:"What a v1 PATCH does with metadata: merge, replace, or what the version documents. Default: ${default}."`
	EmptyMetadata  string           `default:"match" enum:"match,mismatch" help:"What v2 answers to {} on a bound key: match or mismatch. Default: ${default}."`
	RetireV2       bool             `name:"retire-v2" help:"Answer v2 as retired: 410."`
	WebhookURL     string           `name:"webhook-url" placeholder:"URL" help:"Where webhooks are sent; needs --webhook-secret."`
	WebhookSecret  string           `name:"webhook-secret" placeholder:"SECRET" help:"Signs webhooks: whsec_ and base64 of the key, or the key itself as ASCII."`
	WebhookVersion string           `name:"webhook-version" default:"2025-01-01" placeholder:"DATE" help:"The version that the webhooks are pinned to. Default: ${default}."`
	Latency        time.Duration    `default:"0s" placeholder:"DURATION" help:"Delay before each API request is handled, at most 60s."`
	LatencyJitter  time.Duration    `default:"0s" placeholder:"DURATION" help:"Up to this much more delay, at random."`
	Permissions    []string         `default:"member:basic:read,member:email:read,member:manage" placeholder:"NAME,..." help:"What the API key may do; 'none' for nothing. Default: ${default}."`
	Seed           uint64           `default:"1" help:"Seed of everything random: jitter and faults with a probability. Default: ${default}."`
	Version        kong.VersionFlag `help:"Print the version and exit."`
}

// validate returns an error for values that kong's own types allow.
func (c *config) validate() error {
	if c.APIKey == "" || strings.ContainsAny(c.APIKey, " \t\r\n") {
		return errors.New("--api-key: must not be empty or contain white space")
	}
	for _, origin := range c.CORSOrigin {
		if u, err := url.Parse(origin); origin != "*" && origin != "null" && (err != nil || u.Scheme == "" || u.Host == "" || origin != u.Scheme+"://"+u.Host) {
			return fmt.Errorf("--cors-origin: %q is not an origin such as http://127.0.0.1:8080", origin)
		}
	}
	if c.RateLimit < 0 || c.RateLimitV1 < 0 {
		return errors.New("--rate-limit and --rate-limit-v1: must not be negative")
	}
	if err := validateLatency(c.Latency, c.LatencyJitter); err != nil {
		return fmt.Errorf("--latency: %w", err)
	}
	if slices.Equal(c.Permissions, []string{"none"}) {
		c.Permissions = nil
	}
	for _, p := range c.Permissions {
		if !slices.Contains(permissions, p) {
			return fmt.Errorf("--permissions: %q is not one of %s, or none alone", p, strings.Join(permissions, ", "))
		}
	}
	if c.APIKeyVersion == "" {
		c.APIKeyVersion = latestVersion()
	}
	if _, err := versionOf(c.APIKeyVersion); err != nil {
		return fmt.Errorf("--api-key-version: %w", err)
	}
	if _, err := versionOf(c.WebhookVersion); err != nil {
		return fmt.Errorf("--webhook-version: %w", err)
	}
	if c.WebhookURL == "" {
		return nil
	}
	if u, err := url.Parse(c.WebhookURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("--webhook-url: %q is not an http or https URL", c.WebhookURL)
	}
	if strings.TrimPrefix(c.WebhookSecret, "whsec_") == "" {
		return errors.New("--webhook-url needs --webhook-secret")
	}
	return nil
}

func validateLatency(base, jitter time.Duration) error {
	if base < 0 || jitter < 0 || base > maxHold || jitter > maxHold-base {
		return fmt.Errorf("latency and jitter must not be negative, and together at most %s", maxHold)
	}
	return nil
}
