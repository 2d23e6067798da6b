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
	w := payloadWriter{}
	w.text("iss", c.Issuer)
	w.text("sub", c.Subject)
	w.text("aud", c.Audience)
	w.number("iat", c.IssuedAt)
	w.number("nbf", c.NotBefore)
	w.number("exp", c.ExpiresAt)
	w.text("nonce", c.Nonce)
	w.text("lic", c.LicenseKeyHash)
	w.text("hwm", c.MetadataHash)
	w.number("grace", c.Grace)
	return w.finish(leaseToken)
}

// payloadWriter writes claims as the members of a JSON object.
type payloadWriter struct {
	out       []byte
	illFormed bool
}

func (w *payloadWriter) name(name string) {
	separator := byte(',')
	if len(w.out) == 0 {
		separator = '{'
	}
	w.out = append(append(append(w.out, separator, '"'), name...), `":`...)
}

func (w *payloadWriter) text(name, value string) {
	w.name(name)
	quoted, err := jsontext.AppendQuote(w.out, value)
	w.out, w.illFormed = quoted, w.illFormed || err != nil
}

func (w *payloadWriter) number(name string, value int64) {
	w.name(name)
	w.out = strconv.AppendInt(w.out, value, 10)
}

func (w *payloadWriter) finish(k kind) ([]byte, error) {
	out := append(w.out, '}')
	if w.illFormed || len(out) > maxPayload {
		return nil, k.refuse(ReasonMalformed, "'s claims are not well-formed Unicode, or too long together")
	}
	return out, nil
}

// check reports claims that are out of range, whatever the time is.
func (c Claims) check() error {
	switch {
	case !isText(c.Issuer) || !isText(c.Subject) || !isText(c.Audience):
		return leaseToken.refuse(ReasonMalformed, "'s issuer, subject or audience is empty or too long")
	case len(c.Nonce) > maxText:
		return leaseToken.refuse(ReasonMalformed, "'s nonce is too long")
	case !isDigest(c.LicenseKeyHash) || !isDigest(c.MetadataHash):
		return leaseToken.refuse(ReasonMalformed, badDigest)
	case !inRange(c.IssuedAt, maxTime) || !inRange(c.NotBefore, maxTime) || !inRange(c.ExpiresAt, maxTime):
		return leaseToken.refuse(ReasonMalformed, badTime)
	case c.ExpiresAt-c.IssuedAt > MaxLifetime || !inRange(c.Grace, MaxGrace):
		return leaseToken.refuse(ReasonMalformed, "'s lifetime or grace is over a year; they are in seconds")
	}
	return nil
}

const (
	badDigest = "'s license-key hash or metadata hash is not a SHA-256 in lowercase hex"
	badTime   = " has a time that is out of range; times are in seconds since 1970"
)

// isText reports a claim that says something, of a length that makes sense.
func isText(s string) bool { return s != "" && len(s) <= maxText }

func inRange(v, most int64) bool { return v >= 0 && v <= most }

func isDigest(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 64
}
