package whop

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/shared/license"
)

// readFailure turns an answer that is not a success into an error. It keeps the
// secrets, such as the license key that was asked about, out of what is logged.
func readFailure(code int, after string, body []byte, secrets ...string) error {
	said, whops := readErrorBody(body)
	words := without(said.text(), secrets, "[…]")
	e := &Failure{err: fmt.Errorf("status %d", code), words: words, said: scrub(words)}
	bare := len(body) == 0 && (code == http.StatusUnauthorized || code == http.StatusForbidden)
	switch {
	case code == http.StatusTooManyRequests:
		e.Kind, e.after = rateLimited, retryAfter(after, body)
	case code == http.StatusRequestTimeout:
		e.Kind = unanswered
	case code/100 == 5:
		e.Kind = failing
		// A proxy on the way sends these if it got no answer from Whop. Those from 520
		// on are Cloudflare's.
		if !whops || code == http.StatusBadGateway || code == http.StatusGatewayTimeout || code >= 520 {
			e.Kind = unanswered
		}
		if after != "" {
			e.after = retryAfter(after, nil)
		}
	case code/100 != 4:
		e.Kind = badAnswer
	case !whops && !bare:
		e.Kind, e.err = badAnswer, fmt.Errorf("status %d with a body that is not Whop's; a firewall or a proxy on the way may have answered", code)
	case code == http.StatusNotFound:
		if said.aboutMembership(secrets) {
			return check.ErrUnknown
		}
		e.Kind = otherNotFound
	case code == http.StatusUnauthorized:
		e.Kind = unauthorized
	case code == http.StatusForbidden:
		e.Kind = forbidden
	default:
		e.Kind = badRequest
		if versions := said.versions(body, secrets); code == http.StatusBadRequest && versions != nil {
			e.Kind, e.versions = badVersion, versions
		}
	}
	return e
}

// errorBody is what Whop says went wrong.
type errorBody struct{ kind, message string }

// maxErrorText bounds how much of Whop's own message is read.
const maxErrorText = 4 << 10

// readErrorBody reads the shapes in which Whop sends errors, and reports
// whether the body has one of them, so that a proxy's page is not mistaken for
// Whop's answer.
func readErrorBody(body []byte) (said errorBody, ok bool) {
	w, err := readMembers(body, "error", "message")
	if err != nil || w["error"].twice || w["message"].twice || !w["error"].given() && !w["message"].given() {
		return said, false
	}
	said.message, _ = readText(w["message"].raw)
	switch w["error"].raw.Kind() {
	case '"':
		text, _ := readText(w["error"].raw)
		said.message = first(said.message, text)
	case '{':
		detail, err := readMembers(w["error"].raw, "type", "code", "message")
		if err != nil {
			break
		}
		kind, _ := readText(detail["type"].raw)
		code, _ := readText(detail["code"].raw)
		message, _ := readText(detail["message"].raw)
		if kind != "" && code != "" {
			code = " " + code
		}
		said.kind, said.message = kind+code, first(message, said.message)
	}
	said.kind, said.message = beginning(said.kind), beginning(said.message)
	return said, true
}

// beginning truncates a long text between words. Half a word could be half a
// secret, which scrub would not find.
func beginning(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	text = text[:maxErrorText]
	return text[:max(0, strings.LastIndexAny(text, " \t\n"))]
}

func (b errorBody) text() string {
	if b.kind == "" || b.message == "" {
		return b.kind + b.message
	}
	return b.kind + ": " + b.message
}

var (
	pathLike      = regexp.MustCompile(`/\S*`)
	namesALicense = regexp.MustCompile(`(?i)(^|[^a-z])(membership|license)`)
	namesARoute   = regexp.MustCompile(`(?i)(^|[^a-z])(route|endpoint|url|method|version)s?([^a-z]|$)`)
)

// aboutMembership reports whether a 404 says that there is no such membership,
// and not that a route or anything else is missing, which would affect every
// license.
func (b errorBody) aboutMembership(secrets []string) bool {
	text := pathLike.ReplaceAllString(without(b.text(), secrets, ""), "")
	return namesALicense.MatchString(text) && !namesARoute.MatchString(text)
}

var (
	namesAVersion = regexp.MustCompile(`(?i)version`)
	anyVersion    = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}(-\d{1,3})?\b`)
)

// IsVersion reports whether text has the form of a version of Whop's API: a date,
// or a date and a counter.
func IsVersion(text string) bool {
	if !anyVersion.MatchString(text) || anyVersion.FindString(text) != text {
		return false
	}
	_, err := time.Parse(time.DateOnly, text[:len(time.DateOnly)])
	return err == nil
}

// maxVersions bounds how many versions of the API are read from an error.
const maxVersions = 50

// versions returns the versions of the API that an error lists, or nil if the
// error is about something else.
func (b errorBody) versions(body []byte, secrets []string) []string {
	if !namesAVersion.MatchString(without(b.text(), secrets, "")) {
		return nil
	}
	list := []string{}
	for _, v := range anyVersion.FindAllString(without(string(body), secrets, ""), maxVersions) {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

var tryAgainIn = regexp.MustCompile(`(?i)try again in (\d{1,4}) ?s`)

// retryAfter returns how long Whop asks to wait, from 1 s to 2 min. It reads
// the Retry-After header, or else the message ("Try again in 12 seconds.").
func retryAfter(header string, body []byte) time.Duration {
	wait := 10 * time.Second
	if header != "" {
		if ms := license.ParseRetryAfter(header, license.Milliseconds(time.Now().UnixMilli())); ms >= 0 {
			wait = time.Duration(ms) * time.Millisecond
		}
	} else if found := tryAgainIn.FindSubmatch(body); found != nil {
		seconds, _ := strconv.Atoi(string(found[1]))
		wait = time.Duration(seconds) * time.Second
	}
	return min(max(wait, time.Second), 2*time.Minute)
}
