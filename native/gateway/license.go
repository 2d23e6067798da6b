package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/whop"
	"github.com/whop-license/whop-license/shared/license"
)

// licenseCommand holds the flags and subcommands of `license`, among them all
// of the server's settings.
type licenseCommand struct {
	settings

	JSON bool `name:"json" help:"Print JSON."`

	Show struct {
		Key string `arg:"" help:"License key, or membership id (mem_…)."`
	} `cmd:"" help:"Show what Whop stores about a license, and what a check would answer now."`
	Reset struct {
		Key string `arg:"" help:"License key, or membership id (mem_…)."`
	} `cmd:"" help:"Free every place of a license, as Reset Key in Whop's dashboard does. Metadata that --seller-metadata names is kept."`
	Release struct {
		Key   string `arg:"" help:"License key, or membership id (mem_…)."`
		Place int    `arg:"" help:"Number of the place, as license show prints it."`
	} `cmd:"" help:"Free one place of a license."`
}

// runLicense shows a license, or frees places of it.
func runLicense(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	var c licenseCommand
	command, exit := parse(&c, "license", "Shows a license, or frees its places. Run it with the server's settings.", args, out, errOut)
	if exit >= 0 {
		return exit
	}
	command, _, _ = strings.Cut(command, " ")
	text, place := c.Show.Key+c.Reset.Key+c.Release.Key, binding.AllPlaces
	if command == "release" {
		if place = c.Release.Place; place < 1 {
			fmt.Fprintln(errOut, "whop-license-gateway: license release: places are numbered from 1; license show lists the taken ones")
			return badSettings
		}
	}
	key, err := license.ParseKey(text)
	var l *loaded
	if err == nil {
		l, err = c.load(getenv)
	}
	if err != nil {
		fmt.Fprintf(errOut, "whop-license-gateway: %v\n", err)
		return badSettings
	}
	report, err := c.do(ctx, l, errOut, command, key, place)
	if err != nil {
		fmt.Fprintf(errOut, "whop-license-gateway: license %s: %s\n", command, operatorsError(err))
		return 1
	}
	d := describe(key, report, &c.settings)
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(d)
	} else {
		if command != "show" {
			fmt.Fprintf(out, "Done. %s\n\n", afterwards(&c.settings))
		}
		d.print(out)
	}
	if report.Membership == nil {
		return 1
	}
	return 0
}

var errRedis = errors.New("nothing was changed: Redis can't be used, and without its locks a gateway could bind the license at the same time")

// do runs the command with the same parts as a server.
func (c *licenseCommand) do(ctx context.Context, l *loaded, errOut io.Writer, command, key string, place int) (check.Report, error) {
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	redis.SetLogger(redisLog{log})
	g := newGateway(&c.settings, l, log)
	ctx, cancel := context.WithCancel(ctx)
	defer g.shared.end()
	defer cancel()
	ready := false
	if l.redis == nil || command != "show" {
		g.shared.begin(ctx, g.checker, func() { ready = true })
	}
	switch {
	case command == "show":
		return g.checker.Inspect(ctx, key)
	case !ready:
		return check.Report{}, errRedis
	default:
		return g.checker.Free(ctx, key, place)
	}
}

// operatorsError returns a message that says what happened and what to do.
func operatorsError(err error) string {
	var busy *check.BusyError
	switch {
	case errors.Is(err, check.ErrUnknown):
		return "Whop has no such license; if its key was replaced, give the membership id (mem_…), which never changes"
	case errors.As(err, &busy):
		return fmt.Sprintf("the license can't be changed now (%s); try again in %s", busy.Kind, busy.RetryAfter.Round(time.Second))
	default:
		return err.Error()
	}
}

// afterwards says when a change takes effect.
func afterwards(s *settings) string {
	if s.RedisURL != "" {
		return "The gateways have been told, so the change takes effect at once."
	}
	return fmt.Sprintf("The gateway may still let in a machine from its cache for up to %s (--cache-ttl), unless a webhook from Whop arrives sooner.", s.CacheTTL)
}

// licenseDescription is a license as it is printed. It contains no license key
// or machine id in full.
type licenseDescription struct {
	LicenseKey     string              `json:"license_key"`
	Membership     string              `json:"membership,omitempty"`
	Product        string              `json:"product,omitempty"`
	Plan           string              `json:"plan,omitempty"`
	Status         string              `json:"status,omitempty"`
	Entitled       bool                `json:"entitled"`
	EndsAt         *time.Time          `json:"ends_at"`
	PlacesAllowed  int                 `json:"places_allowed"`
	Places         []placeDescription  `json:"places"`
	SellerMetadata []string            `json:"seller_metadata"`
	BoundMachine   string              `json:"bound_machine"`
	AnotherMachine string              `json:"another_machine"`
	Why            string              `json:"why"`
	LastRefusal    *refusalDescription `json:"last_refusal"`
}

type placeDescription struct {
	Place   int               `json:"place"`
	Machine map[string]string `json:"machine"`
}

type refusalDescription struct {
	At   time.Time `json:"at"`
	Code string    `json:"code"`
}

func describe(key string, r check.Report, s *settings) licenseDescription {
	d := licenseDescription{
		LicenseKey: license.ShortenKey(key), PlacesAllowed: s.MaxMachines, Places: []placeDescription{}, SellerMetadata: []string{},
		BoundMachine: r.Bound.String(), AnotherMachine: r.Another.String(), Why: why(r, s),
	}
	m := r.Membership
	if m == nil {
		return d
	}
	d.Membership, d.Product, d.Status, d.Entitled = m.ID, m.Product, m.Status, slices.Contains(s.EntitledStatus, m.Status)
	if m.Plan != nil {
		d.Plan = *m.Plan
	}
	if m.EndsAt != nil {
		d.EndsAt = new(time.Unix(*m.EndsAt, 0).UTC())
	}
	for _, p := range r.Places {
		d.Places = append(d.Places, placeDescription{p.Number, p.Machine.Shortened(license.ShortenKey)})
	}
	for _, name := range s.SellerMetadata {
		if _, stored := m.Metadata[name]; stored {
			d.SellerMetadata = append(d.SellerMetadata, name)
		}
	}
	if !r.LastRefusal.At.IsZero() {
		d.LastRefusal = &refusalDescription{r.LastRefusal.At.UTC(), r.LastRefusal.Outcome}
	}
	return d
}

// why explains what a check answers now.
func why(r check.Report, s *settings) string {
	m := r.Membership
	switch {
	case m == nil:
		return "Whop has no such license key: look for a typo, or ask the customer whether Whop shows a newer key"
	case r.Bound == check.NotFound:
		return fmt.Sprintf("the license belongs to %s, which --product does not list", m.Product)
	case r.Bound == check.Inactive && !slices.Contains(whop.Statuses, m.Status):
		return "Whop does not document this status, so a check is answered 503 until --entitled-status lists it"
	case r.Bound == check.Inactive:
		return fmt.Sprintf("--entitled-status does not list the status %s", m.Status)
	case len(r.Places) == 0:
		return "no machine has the license yet; the next one that asks gets it"
	case r.Another == check.Valid:
		return "a place is free; the next machine that asks gets it"
	case r.Places[len(r.Places)-1].Number > s.MaxMachines:
		return "places beyond --max-machines are taken, so no other machine is let in: release a place, or allow more"
	default:
		return "every place is taken by another machine: release one, or let the customer use Reset Key"
	}
}

// print writes the description as text.
func (d licenseDescription) print(out io.Writer) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-16s%s\n", name, text)
		}
	}
	line("License key", d.LicenseKey)
	if d.Membership != "" {
		line("Membership", d.Membership)
		line("Product", d.Product)
		line("Plan", d.Plan)
		entitled := "not entitled"
		if d.Entitled {
			entitled = "entitled"
		}
		line("Status", d.Status+", "+entitled)
		if d.EndsAt != nil {
			line("Ends", d.EndsAt.Format(time.DateTime)+" UTC")
		}
		line("Places", fmt.Sprintf("%d taken, %d allowed", len(d.Places), d.PlacesAllowed))
		for _, p := range d.Places {
			line(fmt.Sprintf("  place %d", p.Place), p.text())
		}
		line("Seller metadata", strings.Join(d.SellerMetadata, ", "))
	}
	line("Check result", d.answers())
	line("Why", d.Why)
	if d.LastRefusal != nil {
		line("Last refused", d.LastRefusal.At.Format(time.DateTime)+" UTC, "+d.LastRefusal.Code)
	}
}

func (p placeDescription) text() string {
	names := make([]string, 0, len(p.Machine))
	for name, value := range p.Machine {
		names = append(names, name+" "+value)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (d licenseDescription) answers() string {
	if d.BoundMachine == d.AnotherMachine {
		return d.BoundMachine
	}
	return fmt.Sprintf("%s on a machine that has a place, %s on any other", d.BoundMachine, d.AnotherMachine)
}
