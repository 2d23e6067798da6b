package license

import (
	"strings"
	"unicode"
)

// MaxBody is the greatest length of an answer's body, in bytes.
const MaxBody = 64 << 10

// Response is the answer to a [Request]. A transport reads at most [MaxBody]+1
// bytes of the body, so that one too long is told from one that just fits. A
// redirect is an answer like any other and is not followed; where its status
// is hidden, as in a browser, Status is 0.
type Response struct {
	Status     int
	RetryAfter string // the Retry-After header, or ""
	Body       []byte
}

// ReadResponse reads the answer to q into a [Verdict] or an [*Error]. nowMs is
// the present, in milliseconds since the epoch.
//
// The status decides first. The body is asked only where the contract makes
// the outcome depend on it: a success must be a membership, a 404 must be an
// error that an API wrote and not a proxy's page, and a 400 or 403 may carry a
// code that sets it apart. With a [Trust], a success must also carry a lease
// that proves it.
func ReadResponse(q Query, r *Response, nowMs int64) (*Verdict, error) {
	switch status := r.Status; {
	case status == 200 || status == 201:
		s, err := readSuccess(r.Body)
		if err != nil {
			return nil, badResponse(status, err)
		}
		if !s.valid {
			return refusal(Inactive, status, "", nowMs), nil
		}
		verdict := &Verdict{Code: Valid, CheckedAtMs: nowMs, Membership: s.membership}
		if q.Trust != nil {
			if err := q.verify(verdict, s.lease, status); err != nil {
				return nil, err
			}
		}
		return verdict, nil
	case status == 400:
		problem, _ := readProblem(r.Body)
		if problem.code == "invalid_request" {
			return nil, newError(InvalidArgument, status, orElse(cleanMessage(problem.message, q), "The server can't read the request."))
		}
		return refusal(MetadataMismatch, status, cleanMessage(problem.message, q), nowMs), nil
	case status == 403:
		problem, _ := readProblem(r.Body)
		if problem.code == "license_inactive" {
			return refusal(Inactive, status, cleanMessage(problem.message, q), nowMs), nil
		}
		return nil, newError(Unauthorized, status, unauthorizedMessage)
	case status == 404:
		problem, err := readProblem(r.Body)
		if err != nil {
			return nil, badResponse(status, err)
		}
		return refusal(NotFound, status, cleanMessage(problem.message, q), nowMs), nil
	case status == 401:
		return nil, newError(Unauthorized, status, unauthorizedMessage)
	case status == 429:
		return nil, tryLater(RateLimited, r, nowMs, "Too many requests. Try again later.")
	case status == 408 || status >= 500 && status <= 599:
		return nil, tryLater(Unavailable, r, nowMs, "The license server is failing. Try again later; this says nothing about the license.")
	case status == 0 || status >= 300 && status <= 399:
		return nil, newError(BadResponse, status, "The server answered with a redirect, which is not followed. Check the endpoint.")
	default:
		return nil, badResponse(status, errUnknownStatus)
	}
}

const unauthorizedMessage = "The license server's access to Whop was refused. This is for the seller to mend: check the API key and its permissions. It says nothing about the license."

func tryLater(code ErrorCode, r *Response, nowMs int64, message string) *Error {
	err := newError(code, r.Status, message)
	err.RetryAfterMs = parseRetryAfter(r.RetryAfter, nowMs)
	return err
}

func badResponse(status int, cause error) *Error {
	err := newError(BadResponse, status, "The answer is not a license server's: "+cause.Error()+". Check the endpoint, and any proxy on the way.")
	err.Cause = cause
	return err
}

func defaultMessage(code VerdictCode) string {
	switch code {
	case MetadataMismatch:
		return "Please reset your key to use on a new machine"
	case NotFound:
		return "The license key was not found. Check it against the purchase."
	default:
		return "The license is not active. Check the subscription."
	}
}

func refusal(code VerdictCode, status int, message string, nowMs int64) *Verdict {
	return &Verdict{Code: code, CheckedAtMs: nowMs, Message: orElse(message, defaultMessage(code)), Status: status}
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// maxRetryAfterMs bounds what a server can ask for to a year.
const maxRetryAfterMs = 365 * 86400 * 1000

// parseRetryAfter reads RFC 9110's Retry-After, seconds or a date, into
// milliseconds from now, or -1 where it is absent or malformed.
func parseRetryAfter(header string, nowMs int64) int64 {
	header = strings.Trim(header, " \t")
	if seconds, ok := parseDigits(header); ok {
		return min(seconds*1000, maxRetryAfterMs)
	}
	if header != "" && strings.Trim(header, "0123456789") == "" {
		return maxRetryAfterMs
	}
	if unix, ok := parseHTTPDate(header); ok {
		return min(max(unix*1000-nowMs, 0), maxRetryAfterMs)
	}
	return -1
}

// maxMessage bounds a server's message, in characters.
const maxMessage = 300

// replaceFold replaces a text, whatever the case of its ASCII letters: a server
// may know a key in another one.
func replaceFold(s, old, with string) string {
	low, find := lowerASCII(s), lowerASCII(old)
	var b strings.Builder
	for {
		i := strings.Index(low, find)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		b.WriteString(with)
		s, low = s[i+len(old):], low[i+len(old):]
	}
}

// cleanMessage makes a server's text fit to be shown: one line, bounded,
// without control characters, and without the secrets it may echo, as
// Whop's own 404 does.
func cleanMessage(s string, q Query) string {
	for _, secret := range []string{strings.TrimFunc(q.LicenseKey, isSpace), q.APIKey} {
		// Very short keys stand in ordinary text, and protect nothing.
		if len(secret) >= 4 {
			s = replaceFold(s, secret, ShortenKey(secret))
			s = replaceFold(s, escapePath(secret), ShortenKey(secret))
		}
	}
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > maxMessage {
			b.WriteRune('…')
			break
		}
		if unicode.IsControl(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return strings.TrimFunc(b.String(), isSpace)
}
