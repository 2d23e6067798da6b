package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

const (
	// attemptTime bounds one attempt, which may wait for other gateways' attempts.
	attemptTime = 5 * time.Minute
	// maxBackoff is the longest time between attempts, unless the CA asks for a
	// longer one.
	maxBackoff = time.Hour
)

// keep gets a domain's certificate and renews it until the context ends.
func (m *Manager) keep(ctx context.Context, d *domain) {
	for failures := 0; ; {
		err := m.attempt(ctx, d)
		if ctx.Err() != nil {
			return
		}
		wait := m.config.CheckInterval
		if err == nil {
			failures = 0
		} else {
			failures++
			wait = backoff(m.config.Backoff, failures, err, time.Now())
		}
		m.report(d, err, wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// attempt loads the certificate from the folder, where another gateway may have
// put it, and gets or renews it if necessary. One gateway does so at a time.
func (m *Manager) attempt(ctx context.Context, d *domain) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: d.name}}) // certmagic skips what is in its cache
	err := m.magic.ManageSync(ctx, []string{d.name})
	loadErr := m.load(ctx, d)
	switch {
	case loadErr != nil && !isMissing(loadErr):
		return m.unusable(d, loadErr)
	case err == nil && loadErr == nil && d.expired():
		return errClock
	case err == nil:
		return loadErr
	}
	return m.withAdvice(err)
}

// withAdvice adds what to do about damaged account or lock files, which would
// keep the CA from being asked.
func (m *Manager) withAdvice(err error) error {
	var inaccessible *fs.PathError
	for text, folder := range map[string]string{"getting ACME account": "acme", "unable to acquire lock": "locks"} {
		if strings.Contains(err.Error(), text) && !errors.As(err, &inaccessible) {
			return fmt.Errorf("%w; if this persists, remove %s", err, filepath.Join(m.config.Folder, folder))
		}
	}
	return err
}

// errClock makes the next attempt wait for the longest time: every new
// certificate would be as useless, and would count toward the CA's rate limit.
var errClock = errors.New("the CA issues a certificate that has already expired by this machine's clock; set the clock")

// unusable says what to do about certificate files that can't be used. While
// they are there, the CA is not asked, because another gateway may just be
// writing them.
func (m *Manager) unusable(d *domain, err error) error {
	var inaccessible *fs.PathError
	if errors.As(err, &inaccessible) {
		return fmt.Errorf("the files in %s can't be opened: %w", m.config.Folder, err)
	}
	return fmt.Errorf("the files in %s are damaged (%w); if this persists, remove that folder, and the gateway asks the CA for another certificate", filepath.Dir(certificateFile(m.config.Folder, m.config.Directory, d.name)), err)
}

func (d *domain) expired() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().After(d.certificate.Leaf.NotAfter)
}

// load loads the certificate from the folder.
func (m *Manager) load(ctx context.Context, d *domain) error {
	loaded, err := m.magic.CacheManagedCertificate(ctx, d.name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.certificate == nil || !d.certificate.Leaf.Equal(loaded.Leaf) {
		d.certificate = &loaded.Certificate
		m.config.Log.Info("using a certificate", "domain", d.name, "until", loaded.Leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// report records and logs the result of an attempt.
func (m *Manager) report(d *domain, err error, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.problem = ""
		return
	}
	d.problem = explain(err)
	again := wait.Round(time.Second).String()
	if d.certificate != nil && time.Now().Before(d.certificate.Leaf.NotAfter) {
		m.config.Log.Warn("the certificate was not renewed; the previous one is used until it expires", "domain", d.name, "error", d.problem, "retry_in", again, "until", d.certificate.Leaf.NotAfter.UTC().Format(time.DateTime))
		return
	}
	m.config.Log.Error("the gateway has no certificate, and is not ready until the CA issues one", "domain", d.name, "error", d.problem, "retry_in", again)
}

// advice says what to do about the CA's problems, by type.
var advice = map[string]string{
	acme.ProblemTypeDNS:                "the domain's DNS record can't be used; add an A or AAAA record with this machine's address",
	acme.ProblemTypeConnection:         "the CA can't connect; check that the domain's DNS record names this machine, and that the firewall lets ports 443 and 80 through",
	acme.ProblemTypeTLS:                "something else answers on the domain's port 443; check that its DNS record names this machine",
	acme.ProblemTypeUnauthorized:       "something else answers at the domain; check that its DNS record names this machine, and that ports 443 and 80 lead to the gateway",
	acme.ProblemTypeIncorrectResponse:  "something else answers at the domain; check that its DNS record names this machine, and that ports 443 and 80 lead to the gateway",
	acme.ProblemTypeCAA:                "a CAA record of the domain forbids this CA; allow it, or choose another CA with --acme-ca",
	acme.ProblemTypeRejectedIdentifier: "the CA issues no certificate for this domain; check its spelling",
	acme.ProblemTypeRateLimited:        "the CA's rate limit is reached, so the gateway asks again later; until then, you can use a certificate in files (--tls-cert)",
}

// maxExplanation bounds how much of a CA's answer is shown, which may be a
// whole page of HTML.
const maxExplanation = 1000

// explain says in words why the CA issued no certificate.
func explain(err error) string {
	text := strings.Join(strings.Fields(explainAll(err)), " ")
	if len(text) > maxExplanation {
		return strings.ToValidUTF8(text[:maxExplanation], "") + "…"
	}
	return text
}

func explainAll(err error) string {
	var problem acme.Problem
	if !errors.As(err, &problem) {
		return err.Error()
	}
	what := problem.Detail
	for _, s := range problem.Subproblems {
		if !strings.Contains(what, s.Detail) {
			what += "; " + s.Detail
		}
	}
	if hint := advice[problem.Type]; hint != "" {
		return hint + " (the CA says: " + what + ")"
	}
	return "the CA says: " + what + " (" + strings.TrimPrefix(problem.Type, acme.ProblemTypeNamespace) + ")"
}

// limitedUntil matches how Let's Encrypt says when to try again. It also sends
// a header, which certmagic does not pass on.
var limitedUntil = regexp.MustCompile(`(?i)retry after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC`)

// backoff returns how long to wait after a number of failures in a row. It
// grows exponentially; if the CA's rate limit was reached, it is what the CA
// asks for, or an hour.
func backoff(first time.Duration, failures int, err error, now time.Time) time.Duration {
	if errors.Is(err, errClock) {
		return maxBackoff
	}
	wait := min(first<<min(failures-1, 10), maxBackoff)
	var problem acme.Problem
	if !errors.As(err, &problem) || problem.Type != acme.ProblemTypeRateLimited {
		return wait
	}
	if found := limitedUntil.FindStringSubmatch(problem.Detail); found != nil {
		if until, err := time.Parse(time.DateTime, found[1]); err == nil {
			return max(wait, min(until.Sub(now), 7*24*time.Hour))
		}
	}
	return maxBackoff
}
