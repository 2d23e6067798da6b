package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/shared/license"
)

func (a *API) serveValidate(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodPost) {
		return
	}
	q := &request{done: func() {}}
	q.Arrived, q.Client = time.Now(), clientAddr(r, a.trusted)
	end, ok := a.inFlight.begin(q.Client)
	if !ok {
		a.fail(w, nil, unavailable(time.Second), nil)
		return
	}
	defer end()
	defer func() { q.done() }()
	err := a.read(w, r, q)
	if errors.Is(err, errNoRoom) {
		a.fail(w, q, unavailable(time.Second), nil)
		return
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		a.fail(w, q, requestTimeout(), nil)
		return
	} else if err != nil {
		a.fail(w, q, invalidRequest(err.Error()), nil)
		return
	}
	v, err := a.checker.Check(r.Context(), &q.Query)
	switch {
	case err != nil && r.Context().Err() != nil:
		a.metrics.Validated("client_gone")
	case err != nil:
		a.fail(w, q, answerTo(err), err)
	case v.Outcome == check.Valid:
		a.admit(w, q, v)
	default:
		a.refuse(w, q, v)
	}
}

// admit answers with a verdict that says yes, and with a lease unless the
// verdict is an old one.
func (a *API) admit(w http.ResponseWriter, q *request, v check.Verdict) {
	answer := newSuccess(v.Membership, q)
	if v.Source != check.FromStale {
		var err error
		if answer.Lease, err = a.proofs.lease(v.Membership, q, time.Now()); err != nil {
			a.log.Error("a lease could not be signed", "error", err.Error())
			a.fail(w, q, answerTo(err), err)
			return
		}
	}
	a.count(v.Outcome.String(), q)
	a.logVerdict(slog.LevelDebug, q, v)
	writeJSON(w, http.StatusCreated, answer)
}

// refuse answers with a verdict that says no, and with its proof if the request
// had a nonce to prove it over.
func (a *API) refuse(w http.ResponseWriter, q *request, v check.Verdict) {
	a.count(v.Outcome.String(), q)
	level := slog.LevelInfo
	if v.Source == check.FromCache || v.Source == check.FromKey { // these are cheap to cause, so anyone could fill the log
		level = slog.LevelDebug
	}
	a.logVerdict(level, q, v)
	f := refusal(v.Outcome)
	if q.nonce != "" {
		var err error
		if f.Proof, err = a.proofs.refusal(f.Code, q, time.Now()); err != nil {
			// The app does not accept a refusal without its proof, so its lease stands in.
			a.log.Error("the proof of a refusal could not be signed", "error", err.Error())
		}
	}
	writeError(w, f)
}

func (a *API) logVerdict(level slog.Level, q *request, v check.Verdict) {
	if a.log.Enabled(context.Background(), level) {
		a.log.Log(context.Background(), level, "validated", "outcome", v.Outcome.String(), "source", string(v.Source), "key", license.ShortenKey(q.Key))
	}
}

// count counts a validation. Its duration matters only if Whop was asked: most
// others are answered at once in any case.
func (a *API) count(outcome string, q *request) {
	a.metrics.Validated(outcome)
	if q != nil && q.Asked {
		a.metrics.Answered(time.Since(q.Arrived))
	}
}

// fail answers with a failure that is no verdict.
func (a *API) fail(w http.ResponseWriter, q *request, f errorAnswer, err error) {
	a.count(f.Code, q)
	if err != nil {
		var limited *check.LimitedError
		if errors.As(err, &limited) {
			a.metrics.Limited(limited.What)
			a.adviseLimit(limited.What)
		}
		a.logFailure(q, f.Code, err)
	}
	writeError(w, f)
}

// logFailure logs that there was no verdict: of those that strangers can't cause
// for nothing, and unless each one is to be logged, one a minute, because each check
// ends so while Whop is down.
func (a *API) logFailure(q *request, code string, err error) {
	const msg = "no verdict"
	args := []any{"code", code, "key", license.ShortenKey(q.Key), "error", err.Error()}
	if check.CostsNothing(err) || a.log.Enabled(context.Background(), slog.LevelDebug) {
		a.log.Debug(msg, args...)
	} else {
		a.notices.General(slog.LevelInfo, time.Minute, code, msg, args...)
	}
}

// adviseLimit warns the seller that clients are turned away.
func (a *API) adviseLimit(what string) {
	switch what {
	case check.LimitClient:
		a.notices.General(slog.LevelWarn, time.Minute, what, "a client was answered 429, because it used up the look-ups that one address may cause; if many customers share that address, for example behind a proxy, see --trusted-proxies and --client-limit")
	case check.LimitUnknownKeys:
		a.notices.General(slog.LevelWarn, time.Minute, what, "a client was answered 429, because it asked about too many license keys that don't exist; if many customers share its address, for example behind a proxy, see --trusted-proxies and --client-limit")
	}
}

// answerTo returns the answer for an error. The seller's mistakes are only in
// the log.
func answerTo(err error) errorAnswer {
	var failed check.Failure
	var limited *check.LimitedError
	var busy *check.BusyError
	switch {
	case errors.As(err, &limited):
		return rateLimited(limited.RetryAfter)
	case errors.As(err, &busy):
		return unavailable(busy.RetryAfter)
	case errors.As(err, &failed) && failed.SellersFault():
		return errorAnswer{Status: http.StatusBadGateway, Code: "upstream_refused", Message: "The license server can't check licenses until its operator has acted; this says nothing about your license"}
	case errors.As(err, &failed):
		return unavailable(max(failed.RetryAfter(), 2*time.Second))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(2 * time.Second)
	default:
		return errorAnswer{Status: http.StatusInternalServerError, Code: "internal", Message: "The license server failed"}
	}
}

func unavailable(retryAfter time.Duration) errorAnswer {
	return errorAnswer{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "Licenses can't be checked at the moment; try again later", retryAfter: retryAfter}
}

func requestTimeout() errorAnswer {
	return errorAnswer{Status: http.StatusRequestTimeout, Code: "request_timeout", Message: "The request did not arrive in time; send it again"}
}
