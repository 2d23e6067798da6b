// Package tag makes the tags that stand for license keys, memberships and
// machines wherever they are remembered or shared, so that none is ever stored
// in plain text.
package tag

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// Size is the length of a [Tag] in bytes.
const Size = 16

// A Tag stands for a license key, a membership, a machine, or another name. It
// can't be reversed, and nobody without the seller's API key can verify a
// guess.
type Tag [Size]byte

// String returns the tag in hexadecimal, as Redis stores it.
func (t Tag) String() string { return hex.EncodeToString(t[:]) }

// A Tagger makes tags. Taggers with the same API key make the same tags. The
// zero Tagger is for tests.
type Tagger struct{ secret [sha256.Size]byte }

// NewTagger returns the Tagger for a seller's API key.
func NewTagger(apiKey string) Tagger {
	return Tagger{sha256.Sum256([]byte("whop-license gateway tags\x00" + apiKey))}
}

// Of returns the tag of a name of some kind: the HMAC-SHA-256 of the kind, a
// zero byte and the name, keyed with the seller's secret and truncated to
// [Size] bytes. The same name of another kind has another tag. The kind must
// contain no zero byte.
func (t Tagger) Of(kind string, name []byte) Tag {
	mac := hmac.New(sha256.New, t.secret[:])
	message := make([]byte, 0, 256)
	message = append(message, kind...)
	message = append(message, 0)
	message = append(message, name...)
	mac.Write(message)
	var sum [sha256.Size]byte
	return Tag(mac.Sum(sum[:0])[:Size])
}

// OfLicenseKey returns the tag of a license key.
func (t Tagger) OfLicenseKey(key string) Tag { return t.Of("key", []byte(key)) }

// OfMembership returns the tag of a membership, by its id.
func (t Tagger) OfMembership(id string) Tag { return t.Of("membership", []byte(id)) }
