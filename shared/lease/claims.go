package lease

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits of a lease. One that goes beyond them is refused as malformed.
const (
	// MaxTokenSize bounds the whole compact JWS, in bytes.
	MaxTokenSize = 4096
	// MaxLifetime bounds exp − iat, in seconds.
	MaxLifetime = 366 * 24 * 3600
	// MaxGrace bounds grace, in seconds. Like MaxLifetime it is far beyond any
	// sensible setting: it keeps milliseconds that were meant as seconds from
	// becoming a license for ever.
	MaxGrace = 366 * 24 * 3600
)

// maxTime is the last second of the year 9999, where JSON dates end.
const maxTime = 253402300799

const (
	maxText = 512 // bytes of any one claim
	// maxPayload leaves a token room for its header and signature, which are
	// under 300 characters.
	maxPayload = (MaxTokenSize - 300) * 3 / 4
)

// Claims is what a lease says. Instants are in whole Unix seconds.
type Claims struct {
	Issuer         string // iss: the server that answered
	Subject        string // sub: the membership, mem_…
	Audience       string // aud: the product's id
	IssuedAt       int64  // iat
	NotBefore      int64  // nbf
	ExpiresAt      int64  // exp
	Nonce          string // nonce: the request's, or empty where it had none
	LicenseKeyHash string // lic: [HashLicenseKey]
	MetadataHash   string // hwm: [HashMetadata]
	Grace          int64  // grace: seconds past ExpiresAt during which it may stand in
}

// StandsInUntil returns the last instant, in Unix seconds, at which the lease
// may stand in for a server: ExpiresAt plus Grace. It is what a verdict's
// leaseExpiresAt tells, as that is when a customer who stays offline is locked
// out.
func (c Claims) StandsInUntil() int64 { return c.ExpiresAt + c.Grace }

// Payload returns the claims as the JSON to be signed, or an [*Error] with
// [ReasonMalformed] for claims that no verifier here would take.
func (c Claims) Payload() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	out, wellFormed := []byte{'{'}, true
	text := func(name, value string) {
		out = append(append(append(out, '"'), name...), `":`...)
		quoted, err := jsontext.AppendQuote(out, value)
		out, wellFormed = append(quoted, ','), wellFormed && err == nil
	}
	number := func(name string, value int64) {
		out = append(append(append(out, '"'), name...), `":`...)
		out = append(strconv.AppendInt(out, value, 10), ',')
	}
	text("iss", c.Issuer)
	text("sub", c.Subject)
	text("aud", c.Audience)
	number("iat", c.IssuedAt)
	number("nbf", c.NotBefore)
	number("exp", c.ExpiresAt)
	text("nonce", c.Nonce)
	text("lic", c.LicenseKeyHash)
	text("hwm", c.MetadataHash)
	number("grace", c.Grace)
	out[len(out)-1] = '}'
	if !wellFormed || len(out) > maxPayload {
		return nil, refuse(ReasonMalformed, "the lease's claims are not well-formed Unicode, or too long together")
	}
	return out, nil
}

// check reports claims that are out of range, whatever the time is.
func (c Claims) check() error {
	for _, text := range []string{c.Issuer, c.Subject, c.Audience} {
		if text == "" || len(text) > maxText {
			return refuse(ReasonMalformed, "the lease's issuer, subject or audience is empty or too long"+newLease)
		}
	}
	switch {
	case len(c.Nonce) > maxText:
		return refuse(ReasonMalformed, "the lease's nonce is too long"+newLease)
	case !isDigest(c.LicenseKeyHash) || !isDigest(c.MetadataHash):
		return refuse(ReasonMalformed, "the lease's license-key hash or metadata hash is not a SHA-256 in lowercase hex"+newLease)
	case !inRange(c.IssuedAt, maxTime) || !inRange(c.NotBefore, maxTime) || !inRange(c.ExpiresAt, maxTime):
		return refuse(ReasonMalformed, "a time in the lease is out of range; times are in seconds since 1970"+newLease)
	case c.ExpiresAt-c.IssuedAt > MaxLifetime || !inRange(c.Grace, MaxGrace):
		return refuse(ReasonMalformed, "the lease's lifetime or grace is over a year; they are in seconds"+newLease)
	}
	return nil
}

func inRange(v, most int64) bool { return v >= 0 && v <= most }

func isDigest(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}
