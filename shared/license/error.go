package license

// ErrorCode is the stable name of a reason why no verdict was reached.
type ErrorCode string

// The codes that an [Error] from this package can carry.
const (
	InvalidArgument   ErrorCode = "invalid_argument"   // the caller's input can't be sent, or the server refused it as malformed
	Unauthorized      ErrorCode = "unauthorized"       // the server refused the API key that was sent, not the customer's license
	RateLimited       ErrorCode = "rate_limited"       // too many requests; try again later
	Unavailable       ErrorCode = "unavailable"        // there is no connection, or the server is failing; try again later
	Timeout           ErrorCode = "timeout"            // the server didn't answer within the caller's time
	Aborted           ErrorCode = "aborted"            // the caller aborted the check
	BadResponse       ErrorCode = "bad_response"       // the response is none that the contract knows, such as a proxy's page
	UntrustedResponse ErrorCode = "untrusted_response" // the response says yes or no without a signature that proves it
)

// Error says why no verdict was reached. Its message says what happened and what
// to do next, and never holds a license key or an API key in full.
type Error struct {
	Code    ErrorCode
	Message string
	// Argument names the argument at fault, such as licenseKey, if the Code is
	// InvalidArgument and nothing was sent. Otherwise it is empty.
	Argument string
	// Status is the HTTP status of the response, or 0 if there was none.
	Status int
	// RetryAfter is how long the server asked the client to wait. It is negative
	// if the server didn't say.
	RetryAfter Milliseconds
	// Cause is the underlying failure, or nil. If a stored lease could not stand
	// in because of this machine's clock, it is a [*lease.Error] with
	// [lease.ReasonClock].
	Cause error
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the underlying failure, or nil.
func (e *Error) Unwrap() error { return e.Cause }

// Retryable reports whether the same check may succeed later, or on another
// network, without any change. Only [Unavailable] and [RateLimited] are tried
// again within a check.
func (e *Error) Retryable() bool {
	switch e.Code {
	case InvalidArgument, Unauthorized, Aborted:
		return false
	}
	return true
}

func newError(code ErrorCode, status int, message string) *Error {
	return &Error{Code: code, Message: message, Status: status, RetryAfter: -1}
}

// Invalid returns an [InvalidArgument] error that names the argument at fault.
func Invalid(argument, problem string) *Error {
	err := newError(InvalidArgument, 0, argument+": "+problem)
	err.Argument = argument
	return err
}
