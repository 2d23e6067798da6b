//go:build !js

package lease_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"filippo.io/edwards25519"

	"github.com/whop-license/whop-license/shared/lease"
)

// order is L, the prime order of the group.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func scalar(n *big.Int) *edwards25519.Scalar {
	s, err := edwards25519.NewScalar().SetCanonicalBytes(reversed(new(big.Int).Mod(n, order).FillBytes(make([]byte, 32))))
	must(err)
	return s
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i]
	}
	return out
}

// torsion returns the eight points of small order, the i-th being i times a
// point of order 8.
func torsion() (points [8]*edwards25519.Point) {
	zero := edwards25519.NewScalar()
	for y := byte(2); ; y++ {
		p, err := new(edwards25519.Point).SetBytes(append([]byte{y}, make([]byte, 31)...))
		if err != nil {
			continue
		}
		// L·p, whose order divides 8.
		t := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(scalar(big.NewInt(-1)), p, zero)
		t.Add(t, p)
		points[0] = edwards25519.NewIdentityPoint()
		for i := 1; i < 8; i++ {
			points[i] = new(edwards25519.Point).Add(points[i-1], t)
		}
		if points[4].Equal(points[0]) == 0 {
			return points
		}
	}
}

// spellings returns every encoding that decodes to p, the canonical one first.
func spellings(p *edwards25519.Point) (all [][]byte) {
	canonical := p.Bytes()
	all = append(all, canonical)
	field := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y := new(big.Int).SetBytes(reversed(append(canonical[:31:31], canonical[31]&0x7f)))
	for _, y := range []*big.Int{y, new(big.Int).Add(y, field)} {
		if y.BitLen() > 255 {
			continue
		}
		for _, sign := range []byte{0, 0x80} {
			other := reversed(y.FillBytes(make([]byte, 32)))
			other[31] |= sign
			q, err := new(edwards25519.Point).SetBytes(other)
			if err == nil && q.Equal(p) == 1 && !bytes.Equal(other, canonical) {
				all = append(all, other)
			}
		}
	}
	return all
}

// secret returns the signer's scalar.
func (s signer) secret() *edwards25519.Scalar {
	h := sha512.Sum512(s.private.Seed())
	a, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	must(err)
	return a
}

func challenge(r, public, message []byte) *edwards25519.Scalar {
	h := sha512.Sum512(bytes.Join([][]byte{r, public, message}, nil))
	k, err := edwards25519.NewScalar().SetUniformBytes(h[:])
	must(err)
	return k
}

func addSignatures(all vectors, made sample) {
	message := made.header(signer1)
	signed := b64([]byte(message)) + "." + b64([]byte(made.payload))
	public := unb64(signer1.public())
	add := func(name, about string, signature []byte) {
		all.add(made.prefix+"signature-"+name, about, made.forged(lease.ReasonSignature, signed+"."+b64(signature)))
	}
	good := signer1.raw(signed)
	r, s := good[:32], new(big.Int).SetBytes(reversed(good[32:]))
	withS := func(s *big.Int) []byte { return append(r[:32:32], reversed(s.FillBytes(make([]byte, 32)))...) }
	add("s-plus-order", "S + L: without the check of its range, a second signature of the same lease", withS(new(big.Int).Add(s, order)))
	most := new(big.Int).Div(new(big.Int).Sub(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)), s), order)
	add("s-largest", "S plus as many times L as fit 256 bits, beyond what masking the top bits would catch", withS(new(big.Int).Add(s, new(big.Int).Mul(most, order))))
	add("s-top-bit", "the top bit of S set", withS(new(big.Int).SetBit(s, 255, 1)))
	add("s-negative", "−S", withS(new(big.Int).Sub(order, s)))
	add("s-order", "S is L itself", withS(order))
	add("s-zero", "S is 0", withS(new(big.Int)))
	add("r-sign", "R with the sign of x turned", append(append(r[:31:31], r[31]^0x80), good[32:]...))
	add("zero", "64 zero bytes", make([]byte, 64))
	add("half", "R alone", r)

	// R chosen, S = r + k·A's secret, so that the equation holds times 8.
	with := func(encoded, hashed []byte, nonce *edwards25519.Scalar) []byte {
		s := edwards25519.NewScalar().MultiplyAdd(challenge(hashed, public, []byte(signed)), signer1.secret(), nonce)
		out := append(encoded[:32:32], s.Bytes()...)
		if bytes.Equal(encoded, hashed) && !cofactored(public, []byte(signed), out) {
			panic("not even a lax verifier would take it")
		}
		return out
	}
	zero := edwards25519.NewScalar()
	points := torsion()
	for i, p := range points {
		for j, encoded := range spellings(p) {
			kind := "canonical"
			if j > 0 {
				kind = fmt.Sprintf("not canonical (%d)", j)
			}
			add(fmt.Sprintf("r-small-%d-%d", i, j), fmt.Sprintf("R is %d times a point of order 8, %s; made with the key", i, kind), with(encoded, encoded, zero))
			if j > 0 {
				add(fmt.Sprintf("r-small-%d-%d-reduced", i, j), "the same, hashed as if it were canonical", with(encoded, p.Bytes(), zero))
			}
		}
	}
	nonce := scalar(new(big.Int).SetBytes([]byte("a nonce that nobody should reuse")))
	for i := 1; i < 8; i++ {
		mixed := new(edwards25519.Point).ScalarBaseMult(nonce)
		mixed.Add(mixed, points[i])
		add(fmt.Sprintf("r-mixed-%d", i), "R has a part of small order; the equation holds with the cofactor only", with(mixed.Bytes(), mixed.Bytes(), nonce))
	}

	prehash := sha512.Sum512([]byte(signed))
	ph, err := signer1.private.Sign(nil, prehash[:], crypto.SHA512)
	must(err)
	add("ed25519ph", "Ed25519ph, the prehashed kind", ph)
	ctx, err := signer1.private.Sign(nil, []byte(signed), &ed25519.Options{Context: made.typ})
	must(err)
	add("ed25519ctx", "Ed25519ctx, the kind with a context", ctx)
}

// cofactored is the laxest verification in use, as in ZIP 215: 8·S·B = 8·R + 8·k·A,
// whatever the encodings.
func cofactored(public, message, signature []byte) bool {
	a, err := new(edwards25519.Point).SetBytes(public)
	must(err)
	r, err := new(edwards25519.Point).SetBytes(signature[:32])
	must(err)
	s, err := edwards25519.NewScalar().SetCanonicalBytes(signature[32:])
	must(err)
	p := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(challenge(signature[:32], public, message), a.Negate(a), s)
	return p.MultByCofactor(p.Subtract(p, r)).Equal(edwards25519.NewIdentityPoint()) == 1
}

func addKeys(all vectors) {
	add := func(name, about, key string) {
		all.add("key-"+name, about, vector{Call: "parsePublicKey", PublicKey: key, Want: want{Reason: lease.ReasonPublicKey}})
	}
	good := func(name, about, key, kid string) {
		all.add("key-"+name, about, vector{Call: "parsePublicKey", PublicKey: key, Want: want{Kid: kid}})
	}
	text := signer1.public()
	raw := unb64(text)
	good("good", "a public key and its kid", text, signer1.kid())
	good("rfc8037", "the example of RFC 8037, appendix A.3", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")

	add("empty", "no key", "")
	add("space", "white space", " ")
	add("padded", "with padding", text+"=")
	add("plain-base64", "in plain base64's alphabet", strings.NewReplacer("-", "+", "_", "/").Replace(text))
	add("unused-bits", "an unused bit set", nextCharacter(text))
	add("newline", "with a line break after it", text+"\n")
	add("hex", "in hex", hex.EncodeToString(raw))
	add("short", "31 bytes", b64(raw[:31]))
	add("long", "33 bytes", b64(append(raw[:32:32], 0)))
	add("private", "a private key with its public half, 64 bytes", b64(newSigner("a key in the wrong place").private))
	add("pem", "as PEM", "-----BEGIN PUBLIC KEY-----\n"+base64.StdEncoding.EncodeToString(raw)+"\n-----END PUBLIC KEY-----\n")
	add("jwk", "as a JWK", `{"kty":"OKP","crv":"Ed25519","x":"`+text+`"}`)
	add("huge", "10,000 characters", strings.Repeat("A", 10000))

	points := torsion()
	for i, p := range points {
		for j, encoded := range spellings(p) {
			kind := "canonical"
			if j > 0 {
				kind = "not canonical"
			}
			add(fmt.Sprintf("small-%d-%d", i, j), fmt.Sprintf("%d times a point of order 8, %s: anyone can sign for it", i, kind), b64(encoded))
		}
	}
	point, err := new(edwards25519.Point).SetBytes(raw)
	must(err)
	for i := 1; i < 8; i++ {
		mixed := new(edwards25519.Point).Add(point, points[i])
		add(fmt.Sprintf("mixed-%d", i), "a good key with a part of small order added", b64(mixed.Bytes()))
	}
	addUnusualKeys(add)
}

// addUnusualKeys adds the encodings of y ≥ p, and one that is not on the curve.
func addUnusualKeys(add func(name, about, key string)) {
	offCurve := false
	for y := byte(2); y < 19; y++ {
		// The bytes of p + y, of which p ends in 0xed.
		encoded := append(append([]byte{0xed + y}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)
		p, err := new(edwards25519.Point).SetBytes(encoded)
		if err != nil {
			if !offCurve {
				offCurve = true
				add("off-curve", "not a point of the curve", b64(append([]byte{y}, make([]byte, 31)...)))
			}
			continue
		}
		q := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(scalar(big.NewInt(-1)), p, edwards25519.NewScalar())
		about := "y is p + " + fmt.Sprint(y) + ", not reduced, and the point has a part of small order"
		if q.Equal(new(edwards25519.Point).Negate(p)) == 1 {
			about = "y is p + " + fmt.Sprint(y) + ", not reduced, of a point that is otherwise good"
		}
		add(fmt.Sprintf("unreduced-%d", y), about, b64(encoded))
	}
}
