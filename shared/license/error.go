package license

// ErrorCode is the stable name of a reason why no verdict was reached.
type ErrorCode string

// The codes an [Error] from this package can carry.
const (
	InvalidArgument ErrorCode = "invalid_argument" // the caller's input can't be sent, or the server refused it as malformed
	Unauthorized    ErrorCode = "unauthorized"     // the server refused the API key that was sent, not the customer's license
	RateLimited     ErrorCode = "rate_limited"     // too many requests; try again later
	Unavailable     ErrorCode = "unavailable"      // no connection, or the server is failing; try again later
	Timeout         ErrorCode = "timeout"          // no answer within the caller's time
	Aborted         ErrorCode = "aborted"          // the caller withdrew the call
	BadResponse     ErrorCode = "bad_response"     // the answer is none that the contract knows, such as that of a proxy
	// UntrustedResponse is an answer that says yes or no without a signature to prove it.
	UntrustedResponse ErrorCode = "untrusted_response"
)

// Error is a failure to reach a verdict. Its message says what happened and
// what to do next, and never holds a license key or an API key in full.
type Error struct {
	Code    ErrorCode
	Message string
	// Argument names what is at fault of an InvalidArgument that was found
	// before anything was sent, such as licenseKey; else it is empty.
	Argument string
	// Status is the HTTP status of the answer, or 0 where there was none.
	Status int
	// RetryAfterMs is how long the server asked to be left alone, in
	// milliseconds, or negative where it did not say.
	RetryAfterMs int64
	// Cause is the underlying failure, or nil. Where a stored lease could not
	// stand in because of this machine's clock, it is a [*lease.Error] with
	// [lease.ReasonClock].
	Cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the underlying failure, or nil.
func (e *Error) Unwrap() error { return e.Cause }

// Retryable reports whether the same call may succeed later, or on another
// network, without any change. Only [Unavailable] and [RateLimited] are repeated
// within a check.
func (e *Error) Retryable() bool {
	switch e.Code {
	case InvalidArgument, Unauthorized, Aborted:
		return false
	}
	return true
}

func newError(code ErrorCode, status int, message string) *Error {
	return &Error{Code: code, Message: message, Status: status, RetryAfterMs: -1}
}

// Invalid returns an [InvalidArgument] error that names the argument at fault.
func Invalid(argument, problem string) *Error {
	err := newError(InvalidArgument, 0, argument+": "+problem)
	err.Argument = argument
	return err
}
