package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/whop-license/whop-license/native/gateway/internal/notice"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
	"github.com/whop-license/whop-license/shared/license"
)

// doctorCommand holds the flags of `doctor`: all of the server's settings, and
// what else it can check.
type doctorCommand struct {
	settings

	LicenseKey string `placeholder:"KEY" help:"License to look up too; its metadata is compared with the settings."`
	PublicURL  string `name:"public-url" placeholder:"URL" help:"URL at which apps reach the running gateway, to test it too."`
}

// doctor tests everything that a license check needs, and prints one line per
// test.
type doctor struct {
	settings *settings
	loaded   *loaded
	getenv   func(string) string
	whop     *whop.Client
	public   *url.URL // nil: the running gateway is not tested
	out      io.Writer
	wrong    bool
}

// runDoctor runs the tests, and returns exit code 1 if something is wrong.
func runDoctor(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	var c doctorCommand
	if _, exit := parse(&c, "doctor", "Tests everything that a license check needs, and prints one line per test: good, or what to do. Run it with the server's settings. Exits with 1 if something is wrong.", args, out, errOut); exit >= 0 {
		return exit
	}
	d := &doctor{settings: &c.settings, getenv: getenv, out: out}
	key := ""
	var err error
	if c.LicenseKey != "" {
		if key, err = license.ParseKey(c.LicenseKey); err != nil {
			fmt.Fprintf(errOut, "whop-license-gateway: --license-key: %v\n", err)
			return badSettings
		}
	}
	if c.PublicURL != "" {
		if d.public, err = parsePublicURL(c.PublicURL); err != nil {
			fmt.Fprintf(errOut, "whop-license-gateway: %v\n", err)
			return badSettings
		}
	}
	d.try(ctx, key)
	if d.wrong {
		return 1
	}
	return 0
}

func parsePublicURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Host == "" || !isSecure(u) {
		return nil, errors.New("--public-url: must be a URL such as https://license.example.com, or http on a loopback address")
	}
	return u, nil
}

func (d *doctor) try(ctx context.Context, key string) {
	if !d.trySettings() {
		return
	}
	log := slog.New(slog.DiscardHandler) // problems are printed instead
	redis.SetLogger(redisLog{log})
	tags := tag.NewTagger(d.loaded.apiKey)
	d.whop = whop.New(whop.Config{
		Base: d.loaded.upstream, APIKey: d.loaded.apiKey, Version: d.settings.APIVersionDate, Timeout: d.settings.UpstreamTimeout,
		Budget: whop.Unlimited{}, Notices: notice.New(tags, log), Metrics: newMetrics(), Tags: tags, Log: log,
	})
	d.tryFiles()
	d.tryClock(ctx)
	if d.tryWhop(ctx) {
		d.tryProducts(ctx)
	}
	d.tryRedis(ctx, tags, log)
	d.tryCertificate(ctx)
	if d.public == nil {
		d.say("skip", "gateway", "not tested; give its address with --public-url")
	} else {
		d.tryGateway(ctx)
	}
	if key != "" {
		d.tryLicense(ctx, key, log)
	}
}

// say prints the line of one test: its result, what was tested, and a message.
func (d *doctor) say(result, subject, format string, args ...any) {
	fmt.Fprintf(d.out, "%-6s %-13s %s\n", result, subject, fmt.Sprintf(format, args...))
}

func (d *doctor) good(subject, format string, args ...any) { d.say("good", subject, format, args...) }

// bad prints the line of a test that failed, and makes the command fail.
func (d *doctor) bad(subject, format string, args ...any) {
	d.wrong = true
	d.say("WRONG", subject, format, args...)
}

// trySettings loads the settings and reports whether anything else can be
// tested.
func (d *doctor) trySettings() bool {
	l, err := d.settings.load(d.getenv)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			d.bad("settings", "%s", strings.TrimSpace(line))
		}
		return false
	}
	d.loaded = l
	warnings := d.settings.warnings(l)
	for _, warning := range warnings {
		d.say("note", "settings", "%s", warning)
	}
	if len(warnings) == 0 {
		d.good("settings", "they are valid")
	}
	return true
}

// tryLicense looks up one license, and compares its metadata with the settings.
func (d *doctor) tryLicense(ctx context.Context, key string, log *slog.Logger) {
	alone := *d.loaded
	alone.redis = nil // nothing is written
	report, err := newGateway(d.settings, &alone, log).checker.Inspect(ctx, key)
	switch {
	case err != nil:
		d.bad("license", "%s", whop.Advice(err))
		return
	case report.Membership == nil || report.Membership.Product == "" || !slices.Contains(d.settings.Product, report.Membership.Product):
		d.bad("license", "a check answers %s: %s", report.Bound, why(report, d.settings))
	default:
		l := describe(key, report, d.settings)
		d.good("license", "a check answers %s: %s", l.answers(), l.Why)
	}
	names, most := map[string]bool{}, 0
	for _, p := range report.Places {
		most = max(most, p.Number)
		for name, value := range p.Machine {
			if value.IsString {
				names[name] = true
			} else {
				d.say("note", "metadata", "%q does not look like a machine id; if it is yours, set --seller-metadata %s", name, name)
			}
		}
	}
	if len(names) > 0 {
		list := slices.Sorted(maps.Keys(names))
		d.good("metadata", "its machines are stored as %s, so the app must send exactly that", strings.Join(list, ", "))
	}
	if most > d.settings.MaxMachines {
		d.bad("metadata", "place %d is taken, but --max-machines is %d: set --max-machines %d, or release the place", most, d.settings.MaxMachines, most)
	}
}
