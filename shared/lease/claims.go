package lease

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// The bounds of a lease. A lease beyond them is refused as malformed.
const (
	// MaxTokenSize is the greatest length of a token, in bytes, and so of a stored
	// lease.
	MaxTokenSize = 4096
	// MaxLifetime is the greatest exp − iat, in seconds: a year.
	MaxLifetime = 366 * 24 * 3600
	// MaxGrace is the greatest grace, in seconds: another year. Both are far beyond
	// any sensible setting. They keep milliseconds that were meant as seconds from
	// becoming a license forever.
	MaxGrace = MaxLifetime
)

// maxTime is the last second of the year 9999, the last that JavaScript's dates write
// with four digits.
const maxTime = 253402300799

const (
	maxText = 512 // bytes of any one claim
	// maxPayload leaves room in a token for its header and signature, which have
	// fewer than 300 characters.
	maxPayload = (MaxTokenSize - 300) * 3 / 4
)

// Claims is what a lease says. Points in time are in whole seconds since 1970.
type Claims struct {
	Issuer         string // iss: the server that answered
	Subject        string // sub: the membership, mem_…
	Audience       string // aud: the product's id
	IssuedAt       int64  // iat
	NotBefore      int64  // nbf
	ExpiresAt      int64  // exp
	Nonce          string // nonce: the request's, or empty if it had none
	LicenseKeyHash string // lic: [HashLicenseKey]
	MetadataHash   string // hwm: [HashMetadata]
	Grace          int64  // grace: seconds past ExpiresAt during which it may stand in
}

// StandsInUntil returns the last second, since 1970, at which the lease may stand in
// for the server: ExpiresAt plus Grace. A verdict tells it as leaseExpiresAt, because
// that is when a customer who stays offline is locked out.
func (c Claims) StandsInUntil() int64 { return c.ExpiresAt + c.Grace }

// Payload returns the claims as the JSON to be signed. It returns an [*Error] with
// [ReasonMalformed] for claims that [Verify] would refuse as malformed.
func (c Claims) Payload() ([]byte, error) {
	if err := c.validate(); err != nil {
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

// validate returns an error if a claim is out of range, whatever the time is.
func (c Claims) validate() error {
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

// isText reports whether a claim says something and has a reasonable length.
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
