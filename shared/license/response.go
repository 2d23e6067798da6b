package license

import "strings"

// MaxBody is the greatest length of a response's body, in bytes.
const MaxBody = 64 << 10

// Response is the response to a [Request]. A transport reads at most [MaxBody]+1
// bytes of the body, so that a body that is too long can be told from one that
// just fits. A redirect is a response like any other and is not followed; if its
// status is hidden, as in a browser, Status is 0.
type Response struct {
	Status     int
	RetryAfter string // the Retry-After header, or ""
	Body       []byte
}

// ReadResponse reads the response to q, which came at the time now, into a
// [Verdict] or an [*Error].
//
// Anything between the app and the server can respond in the server's place, so a
// verdict is only what the server alone can have said. With a [Trust], that is
// what one of its keys signed for this request, whether yes or no. Without one, a
// refusal is an error code of the server's own, with the status that belongs to
// it. If an API key is sent, the server is the seller's own or speaks v2, so any
// 400 or 404 whose body is an error in JSON is a refusal too.
func ReadResponse(q Query, r *Response, now Milliseconds) (*Verdict, error) {
	switch status := r.Status; {
	case status == 200 || status == 201:
		return readYes(q, r, now)
	case status == 400 || status == 401 || status == 403 || status == 404:
		return readNo(q, r, now)
	case status == 429:
		return nil, tryLater(RateLimited, r, now, "Too many requests. Try again later.")
	case status == 408 || status >= 500 && status <= 599:
		return nil, tryLater(Unavailable, r, now, "The license server is failing. Try again later; this says nothing about the license.")
	case status == 0 || status >= 300 && status <= 399:
		return nil, badResponse(q, status, errRedirect)
	default:
		return nil, badResponse(q, status, errUnknownStatus)
	}
}

// readYes reads a 200 or 201.
func readYes(q Query, r *Response, now Milliseconds) (*Verdict, error) {
	s, err := readSuccess(r.Body)
	switch {
	case err != nil:
		return nil, badResponse(q, r.Status, err)
	case s.valid:
		verdict := &Verdict{Code: Valid, CheckedAt: now, Membership: s.membership}
		if q.Trust != nil {
			if err := q.verify(verdict, s.lease, r.Status); err != nil {
				return nil, err
			}
		}
		return verdict, nil
	case q.Trust != nil:
		return nil, untrusted(r.Status, "it says no in a way that can't be signed", nil)
	}
	return refusal(Inactive, r.Status, "", now), nil
}

// readNo reads a 400, 401, 403 or 404.
func readNo(q Query, r *Response, now Milliseconds) (*Verdict, error) {
	problem, err := readProblem(r.Body)
	if err != nil {
		return nil, badResponse(q, r.Status, err)
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
		return nil, newError(Unauthorized, status, "The license server refused the API key. The seller needs to check the key and its permissions; this says nothing about the license.")
	case q.Trust != nil: // a refusal without a code can't be signed
	case status == 400:
		code = MetadataMismatch
	default:
		code = NotFound
	}
	if code == "" {
		return nil, badResponse(q, r.Status, errNotItsOwn)
	}
	if q.Trust != nil {
		if err := q.verifyRefusal(problem, r.Status); err != nil {
			return nil, err
		}
	}
	return refusal(code, r.Status, message, now), nil
}

func tryLater(code ErrorCode, r *Response, now Milliseconds, message string) *Error {
	err := newError(code, r.Status, message)
	err.RetryAfter = ParseRetryAfter(r.RetryAfter, now)
	return err
}

func badResponse(q Query, status int, cause error) *Error {
	err := newError(BadResponse, status, "Something on the network answered in the license server's place: its answer "+cause.Error()+". Try again, perhaps on another network; this says nothing about the license. If it keeps happening, check the endpoint"+pathOf(q.Endpoint, status)+".")
	err.Cause = cause
	return err
}

// pathOf names the path of an endpoint, which is often what a 404 is about.
func pathOf(endpoint string, status int) string {
	_, rest, _ := strings.Cut(endpoint, "://")
	if _, path, ok := strings.Cut(rest, "/"); ok && path != "" && status == 404 {
		return ": its path /" + path + " may be too much"
	}
	return ""
}

func untrusted(status int, reason string, cause error) *Error {
	err := newError(UntrustedResponse, status, "The answer is not proven to be the license server's, so something on the network may have answered in its place: "+reason+". Try again, perhaps on another network; this says nothing about the license. If it keeps happening, check the endpoint and the public key.")
	err.Cause = cause
	return err
}

func refusal(code VerdictCode, status int, message string, now Milliseconds) *Verdict {
	return &Verdict{Code: code, CheckedAt: now, Message: orElse(message, defaultMessage(code)), Status: status}
}

// defaultMessage returns what to tell the customer if the server sent no message.
func defaultMessage(code VerdictCode) string {
	switch code {
	case MetadataMismatch:
		return "Please reset your key to use on a new machine" // Whop's own wording
	case NotFound:
		return "The license key was not found. Check it against the purchase."
	default:
		return "The license is not active. Check the subscription."
	}
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
