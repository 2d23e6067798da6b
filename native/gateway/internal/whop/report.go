package whop

import (
	"errors"
	"log/slog"
	"time"

	"github.com/whop-license/whop-license/shared/license"
)

// generalNotice is how often the same problem with all licenses is logged.
const generalNotice = time.Minute

// report logs for the seller why a call failed. Customers learn less.
func (w *Client) report(op operation, id string, affects scope, err error) {
	var up *Failure
	if !errors.As(err, &up) {
		return
	}
	args := []any{"operation", op, "reason", string(up.Kind), "error", up.err.Error()}
	if up.said != "" {
		args = append(args, "whop_says", up.said)
	}
	key := []any{"key", license.ShortenKey(id)}
	switch {
	case up.Kind == badVersion:
		w.notices.General(slog.LevelError, generalNotice, string(op), "Whop does not know the version of its API that was requested; set --api-version-date to one of those in versions",
			append(args, "version", w.headers[versionHeader], "versions", up.versions)...)
	case up.Kind.refusal() || up.Kind == unknownToWrite:
		msg, args := refusalAdvice(op, up.Kind), append(args, "concerns", string(affects))
		if affects == scopeAll {
			w.notices.General(slog.LevelError, generalNotice, string(op)+up.err.Error(), msg, append(key, args...)...)
			return
		}
		level := slog.LevelError
		if affects == scopeLicense && up.Kind != unknownToWrite {
			level = slog.LevelWarn
		}
		w.notices.License(level, id, msg, args...)
	case up.Kind == badAnswer:
		w.notices.License(slog.LevelError, id, "an answer from Whop can't be used, so there was no verdict and nothing was written", args...)
	case up.after > 0:
		w.log.Warn("calls to Whop are paused", append(key, args...)...)
	default:
		w.log.Warn("Whop did not answer", append(key, args...)...)
	}
}

func refusalAdvice(op operation, kind Kind) string {
	switch {
	case kind == unauthorized:
		return "Whop refuses the API key: it is wrong or was revoked; set WHOP_API_KEY to a valid one"
	case kind == forbidden && op == opLookUp:
		return "Whop forbids a look-up, and whop_says why; if a permission is missing, give the API key member:basic:read and member:email:read"
	case kind == forbidden && op == opProducts:
		return "Whop does not let this API key list products; to see them here, give it the permission access_pass:basic:read"
	case kind == forbidden:
		return "Whop forbids binding a license, and whop_says why; if a permission is missing, give the API key member:manage"
	case kind == otherNotFound && op == opProducts:
		return "Whop answers 404"
	case kind == otherNotFound:
		return "Whop answers 404, but not about the membership; if it concerns every call, check --upstream-url and --api-version-date"
	case kind == unknownToWrite:
		return "Whop answers 404 to a write to a membership that it has just returned, so the license can't be bound"
	default:
		return "Whop refuses a request, and whop_says why; if it concerns every call, check --api-version-date and --upstream-url"
	}
}

// reportSkipped logs which members of an answer could not be read.
func (w *Client) reportSkipped(skipped []skippedMember) {
	for _, o := range skipped {
		msg := "a member of Whop's answers can't be read and is left out"
		switch o.member {
		case "cancel_at_period_end", "expires_at", "renewal_period_end", "current_period_end":
			msg = "a member of Whop's answers that says how long a license is valid can't be read; leases end with the period, or within an hour if the period's end can't be read either"
		}
		w.notices.General(slog.LevelWarn, onceForAll, o.String(), msg, "member", o.member, "is", o.kind)
	}
}

// onceForAll is longer than a gateway runs.
const onceForAll = 100 * 365 * 24 * time.Hour
