package license

import "strings"

// maxRetryAfter bounds what a server can ask for to a year.
const maxRetryAfter Milliseconds = 365 * 86400 * 1000

// ParseRetryAfter reads the Retry-After header of RFC 9110, a number of seconds
// or a date, into the time from now, at most a year. It returns -1 if the header
// is empty or malformed.
func ParseRetryAfter(header string, now Milliseconds) Milliseconds {
	header = strings.Trim(header, " \t")
	if seconds, ok := parseDigits(header); ok {
		return min(Milliseconds(seconds)*1000, maxRetryAfter)
	}
	if header != "" && strings.Trim(header, "0123456789") == "" {
		return maxRetryAfter
	}
	if unix, ok := parseHTTPDate(header); ok {
		return min(max(Milliseconds(unix)*1000-now, 0), maxRetryAfter)
	}
	return -1
}
