package lease

import (
	"filippo.io/edwards25519"

	"github.com/whop-license/whop-license/shared/lease/internal/sha2"
)

// PublicKey is an Ed25519 public key that verifies tokens. Only [ParsePublicKey] makes
// one. The zero value verifies nothing.
type PublicKey struct {
	encoded  [32]byte
	id       string
	negative *edwards25519.Point // −A, which verification needs
}

// minusOne is the scalar L − 1, where L is the order of the group.
func minusOne() *edwards25519.Scalar {
	one, err := edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...))
	if err != nil {
		panic("lease: 1 is a scalar")
	}
	return one.Negate(one)
}

// ParsePublicKey reads an Ed25519 public key: 32 bytes as unpadded base64url, which is
// 43 characters, the "x" of its JWK (RFC 8037). Anything else is an [*Error] with
// [ReasonPublicKey]. So is a key that is not canonically encoded, or not a point of the
// prime-order group: no honest software makes one, and with some of them anyone could
// sign, or verifiers could disagree.
func ParsePublicKey(text string) (PublicKey, error) {
	if text == "" {
		return PublicKey{}, refuse(ReasonPublicKey, "the public key is empty; give the gateway's public key, 43 characters of base64url")
	}
	raw, ok := decodeBase64(text)
	if !ok || len(raw) != 32 {
		return PublicKey{}, refuse(ReasonPublicKey, "the public key is not 32 bytes of unpadded base64url (43 characters); copy it from the gateway's key set")
	}
	point, err := new(edwards25519.Point).SetBytes(raw)
	if err != nil || !hasPrimeOrder(point) {
		return PublicKey{}, refuse(ReasonPublicKey, "the public key is not a usable Ed25519 key; copy it from the gateway's key set")
	}
	key := PublicKey{id: KeyID([32]byte(raw)), negative: new(edwards25519.Point).Negate(point)}
	copy(key.encoded[:], raw)
	return key, nil
}

// ID returns the key's [KeyID], or an empty string for the zero value.
func (k PublicKey) ID() string { return k.id }

// KeyID returns the "kid" of a lease signed by the key with this public half:
// the JWK thumbprint of RFC 7638 with SHA-256, as RFC 8037 defines it for
// Ed25519, in unpadded base64url.
func KeyID(publicKey [32]byte) string {
	digest := sha2.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + encodeBase64(publicKey[:]) + `"}`))
	return encodeBase64(digest[:])
}

// hasPrimeOrder reports whether p generates the prime-order group: p is not the
// neutral element, and L·p is, which is to say (L−1)·p = −p. Every point that has
// a second, non-canonical encoding fails this, as the vectors show for each, so
// it also leaves one encoding per key.
func hasPrimeOrder(p *edwards25519.Point) bool {
	neutral := edwards25519.NewIdentityPoint()
	if p.Equal(neutral) == 1 {
		return false
	}
	q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne(), p, edwards25519.NewScalar())
	return q.Equal(new(edwards25519.Point).Negate(p)) == 1
}

// verify reports whether signature is the key's signature of message, by
// RFC 8032, section 5.1.7, under the rules of the package's documentation.
func (k PublicKey) verify(message, signature []byte) bool {
	if k.negative == nil || len(signature) != 64 {
		return false
	}
	r := signature[:32]
	s, err := edwards25519.NewScalar().SetCanonicalBytes(signature[32:])
	if err != nil {
		return false
	}
	digest := sha2.Sum512(append(append(append(make([]byte, 0, 64+len(message)), r...), k.encoded[:]...), message...))
	h, err := edwards25519.NewScalar().SetUniformBytes(digest[:])
	if err != nil {
		return false
	}
	// With A of prime order the result is too, unless it is the neutral element.
	want := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(h, k.negative, s)
	return want.Equal(edwards25519.NewIdentityPoint()) == 0 && string(want.Bytes()) == string(r)
}
