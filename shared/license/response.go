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
// Anything on the way can answer in the server's place, so a verdict is only
// what the server alone can have said. With a [Trust], that is what one of its
// keys signed for this request, be it yes or no. Without one, a refusal is the
// server's own error code at its own status; where an API key is sent, and so
// the server is the seller's, or one that speaks v2, any 400 or 404 whose body
// is an error in JSON is one as well.
func ReadResponse(q Query, r *Response, nowMs int64) (*Verdict, error) {
	switch status := r.Status; {
	case status == 200 || status == 201:
		return readYes(q, r, nowMs)
	case status == 400 || status == 401 || status == 403 || status == 404:
		return readNo(q, r, nowMs)
	case status == 429:
		return nil, tryLater(RateLimited, r, nowMs, "Too many requests. Try again later.")
	case status == 408 || status >= 500 && status <= 599:
		return nil, tryLater(Unavailable, r, nowMs, "The license server is failing. Try again later; this says nothing about the license.")
	case status == 0 || status >= 300 && status <= 399:
		return nil, badResponse(status, errRedirect)
	default:
		return nil, badResponse(status, errUnknownStatus)
	}
}

// readYes reads a 200 or 201.
func readYes(q Query, r *Response, nowMs int64) (*Verdict, error) {
	s, err := readSuccess(r.Body)
	switch {
	case err != nil:
		return nil, badResponse(r.Status, err)
	case s.valid:
		verdict := &Verdict{Code: Valid, CheckedAtMs: nowMs, Membership: s.membership}
		if q.Trust != nil {
			if err := q.verify(verdict, s.lease, r.Status); err != nil {
				return nil, err
			}
		}
		return verdict, nil
	case q.Trust != nil:
		return nil, untrusted(r.Status, "it says no in a way that can't be signed", nil)
	}
	return refusal(Inactive, r.Status, "", nowMs), nil
}

// readNo reads a 400, 401, 403 or 404.
func readNo(q Query, r *Response, nowMs int64) (*Verdict, error) {
	problem, err := readProblem(r.Body)
	if err != nil {
		return nil, badResponse(r.Status, err)
	}
	message := cleanMessage(problem.message, q)
	code := VerdictCode("")
	switch status := r.Status; {
	case status == 400 && problem.code == "invalid_request":
		return nil, newError(InvalidArgument, status, orElse(message, "The server can't read the request."))
	case status == 400 && problem.code == "metadata_mismatch":
		code = MetadataMismatch
	case status == 403 && problem.code == "license_inactive":
		code = Inactive
	case status == 404 && problem.code == "not_found":
		code = NotFound
	case q.APIKey == "":
	case status == 401 || status == 403:
		return nil, newError(Unauthorized, status, "The license server refused the API key. This is for the seller to mend: check the key and its permissions. It says nothing about the license.")
	case q.Trust != nil: // What isn't coded can't be signed.
	case status == 400:
		code = MetadataMismatch
	default:
		code = NotFound
	}
	if code == "" {
		return nil, badResponse(r.Status, errNotItsOwn)
	}
	if q.Trust != nil {
		if err := q.verifyRefusal(problem, r.Status); err != nil {
			return nil, err
		}
	}
	return refusal(code, r.Status, message, nowMs), nil
}

func tryLater(code ErrorCode, r *Response, nowMs int64, message string) *Error {
	err := newError(code, r.Status, message)
	err.RetryAfterMs = parseRetryAfter(r.RetryAfter, nowMs)
	return err
}

func badResponse(status int, cause error) *Error {
	err := newError(BadResponse, status, "Something on the network answered in the license server's place: its answer "+cause.Error()+". Try again, perhaps on another network; this says nothing about the license. If it lasts, check the endpoint.")
	err.Cause = cause
	return err
}

func untrusted(status int, reason string, cause error) *Error {
	err := newError(UntrustedResponse, status, "The answer is not proven to be the license server's, so something on the network may have answered in its place: "+reason+". Try again, perhaps on another network; this says nothing about the license. If it lasts, check the endpoint and the public key.")
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
	key, _ := ParseKey(q.LicenseKey)
	for _, secret := range []string{key, q.APIKey} {
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
