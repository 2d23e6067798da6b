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
	// attemptTime bounds one attempt, which waits for those of other gateways.
	attemptTime = 5 * time.Minute
	// longestPause is the longest time between attempts, except where the CA asks
	// for a longer one.
	longestPause = time.Hour
)

// keep gets a domain's certificate and renews it until the context ends.
func (m *Manager) keep(ctx context.Context, d *domain) {
	for failures := 0; ; {
		err := m.attempt(ctx, d)
		if ctx.Err() != nil {
			return
		}
		wait := m.config.Look
		if err == nil {
			failures = 0
		} else {
			failures++
			wait = pause(m.config.Pause, failures, err, time.Now())
		}
		m.tell(d, err, wait)
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

// attempt takes the certificate from the folder, where another gateway may have
// put it, and gets or renews it there if need be. One gateway does so at a time.
func (m *Manager) attempt(ctx context.Context, d *domain) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	m.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: d.name}}) // what is in the cache counts as kept
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
	return m.advised(err)
}

// advised adds what to do about damaged files that are no certificate's, which
// would keep the CA from being asked.
func (m *Manager) advised(err error) error {
	var inaccessible *fs.PathError
	for text, folder := range map[string]string{"getting ACME account": "acme", "unable to acquire lock": "locks"} {
		if strings.Contains(err.Error(), text) && !errors.As(err, &inaccessible) {
			return fmt.Errorf("%w; if that stays so, remove %s", err, filepath.Join(m.config.Folder, folder))
		}
	}
	return err
}

// errClock is why an order is not made again at once: each would cost as much as
// the one before and be as useless.
var errClock = errors.New("the CA gives a certificate that has expired by this machine's clock; set the clock")

// unusable says what to do about files that are there. Without that, the CA is
// never asked, as another gateway may just be writing them.
func (m *Manager) unusable(d *domain, err error) error {
	var inaccessible *fs.PathError
	if errors.As(err, &inaccessible) {
		return fmt.Errorf("the files in %s can't be opened: %w", m.config.Folder, err)
	}
	return fmt.Errorf("the files in %s are damaged (%w); if that stays so, remove that folder, and the CA is asked for another certificate", filepath.Dir(certificateFile(m.config.Folder, m.config.Directory, d.name)), err)
}

func (d *domain) expired() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().After(d.certificate.Leaf.NotAfter)
}

// load takes the certificate from the folder.
func (m *Manager) load(ctx context.Context, d *domain) error {
	loaded, err := m.magic.CacheManagedCertificate(ctx, d.name)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.certificate == nil || !d.certificate.Leaf.Equal(loaded.Leaf) {
		d.certificate = &loaded.Certificate
		m.config.Log.Info("a certificate is used", "domain", d.name, "until", loaded.Leaf.NotAfter.UTC().Format(time.DateTime))
	}
	return nil
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// tell notes and logs how an attempt went.
func (m *Manager) tell(d *domain, err error, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.problem = ""
		return
	}
	d.problem = explain(err)
	again := wait.Round(time.Second).String()
	if d.certificate != nil && time.Now().Before(d.certificate.Leaf.NotAfter) {
		m.config.Log.Warn("the certificate was not renewed; the one from before is used until it expires", "domain", d.name, "error", d.problem, "again_in", again, "until", d.certificate.Leaf.NotAfter.UTC().Format(time.DateTime))
		return
	}
	m.config.Log.Error("the gateway has no certificate, and is not ready until the CA gives it one", "domain", d.name, "error", d.problem, "again_in", again)
}

// advice is what to do about the problems that a CA may have, by their types.
var advice = map[string]string{
	acme.ProblemTypeDNS:                "the domain's DNS record can't be used; add an A or AAAA record with this machine's address",
	acme.ProblemTypeConnection:         "the CA can't connect; see that the domain's DNS record names this machine, and that a firewall lets ports 443 and 80 through",
	acme.ProblemTypeTLS:                "something else answers on the domain's port 443; see that its DNS record names this machine",
	acme.ProblemTypeUnauthorized:       "something else answers under the domain; see that its DNS record names this machine, and that ports 443 and 80 lead to the gateway",
	acme.ProblemTypeIncorrectResponse:  "something else answers under the domain; see that its DNS record names this machine, and that ports 443 and 80 lead to the gateway",
	acme.ProblemTypeCAA:                "a CAA record of the domain forbids this CA; allow it, or name another one with --acme-ca",
	acme.ProblemTypeRejectedIdentifier: "the CA gives no certificate for this domain; see that it is spelled right",
	acme.ProblemTypeRateLimited:        "the CA's rate limit is reached, so it is asked again later; until then, a certificate in files can be used (--tls-cert)",
}

// longestExplanation bounds what is told of a CA's answer, which may be a whole
// page of HTML.
const longestExplanation = 1000

// explain says in words what kept the CA from giving a certificate.
func explain(err error) string {
	text := strings.Join(strings.Fields(explainAll(err)), " ")
	if len(text) > longestExplanation {
		return strings.ToValidUTF8(text[:longestExplanation], "") + "…"
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

// limitedUntil is how Let's Encrypt says when it may be asked again, beside a
// header that certmagic does not pass on.
var limitedUntil = regexp.MustCompile(`(?i)retry after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC`)

// pause returns how long to wait after a number of failures in a row: ever longer,
// and as long as a CA asks for, or an hour, where its rate limit was reached.
func pause(first time.Duration, failures int, err error, now time.Time) time.Duration {
	if errors.Is(err, errClock) {
		return longestPause
	}
	wait := min(first<<min(failures-1, 10), longestPause)
	var problem acme.Problem
	if !errors.As(err, &problem) || problem.Type != acme.ProblemTypeRateLimited {
		return wait
	}
	if found := limitedUntil.FindStringSubmatch(problem.Detail); found != nil {
		if until, err := time.Parse(time.DateTime, found[1]); err == nil {
			return max(wait, min(until.Sub(now), 7*24*time.Hour))
		}
	}
	return longestPause
}
