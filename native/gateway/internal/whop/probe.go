package whop

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// ProbeLookUp looks up a license that does not exist. It returns nil if Whop
// says so, which shows that Whop accepts the API key and the version, or else a
// [*Failure].
func (w *Client) ProbeLookUp(ctx context.Context) error {
	_, err := w.LookUp(ctx, madeUpKey())
	if errors.Is(err, check.ErrUnknown) {
		return nil
	}
	return err
}

// ProbeWrite sends an empty write to a membership that does not exist. It
// returns nil if Whop says so, which shows that the API key may write, or else
// a [*Failure].
func (w *Client) ProbeWrite(ctx context.Context) error {
	err := w.SetMetadata(ctx, "mem_"+strings.ToLower(rand.Text()), binding.Metadata{}, rand.Text())
	var f *Failure
	if errors.As(err, &f) && f.Kind == unknownToWrite {
		return nil
	}
	return err
}

// Advice tells the seller what an error of a [Client] means and what to do. It
// contains no secret.
func Advice(err error) string {
	var f *Failure
	if !errors.As(err, &f) {
		return err.Error()
	}
	says := ""
	if f.said != "" {
		says = " (Whop says: " + f.said + ")"
	}
	switch {
	case f.Kind == badVersion:
		return "Whop does not have this version of its API; set --api-version-date to one of " + strings.Join(f.versions, ", ")
	case f.Kind.refusal():
		// The log has Whop's words in whop_says.
		return strings.Replace(refusalAdvice(f.op, f.Kind), ", and whop_says why", "", 1) + says
	case f.Kind == failing:
		return "Whop is failing, so wait (" + f.Error() + ")" + says
	case f.Kind.outage():
		return "Whop can't be reached; see --upstream-url, and whether a firewall or a proxy (HTTPS_PROXY) is in the way (" + f.Error() + ")" + says
	case f.Kind == badAnswer:
		return "what answers is not as Whop answers; see --upstream-url, and whether a firewall or a proxy (HTTPS_PROXY) is in the way (" + f.Error() + ")" + says
	default:
		return f.Error() + says
	}
}
