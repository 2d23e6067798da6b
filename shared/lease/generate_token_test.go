//go:build !js

package lease_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"strings"

	"github.com/whop-license/whop-license/shared/lease"
)

func addGood(all vectors) {
	c := claims()
	all.add("verify-go-jose", "a lease as the gateway signs it, with go-jose", call("verify", signer1.joseLease(c)).taken(c))
	all.add("verify-second-key", "while keys rotate, a lease of either key is good", call("verify", signer2.lease(c)).taken(c), func(v *vector) {
		v.PublicKeys = append(v.PublicKeys, signer2.public())
	})
	all.add("verify-any-server", "without issuer, audience and subject, any that the key signed", call("verify", signer1.lease(c)).taken(c), func(v *vector) {
		v.Issuer, v.Audience, v.Subject = "", "", ""
	})
	odd := c
	odd.LicenseKeyHash, odd.MetadataHash = lease.HashLicenseKey("clé-Ω-🔑"), lease.HashMetadata(nil)
	odd.Issuer, odd.Subject = "https://ü.example/\"\\\u2028", "mem_ü"
	all.add("verify-unicode-no-metadata", "a license key beyond ASCII, and no machine", call("verify", signer1.lease(odd)).taken(odd), func(v *vector) {
		v.LicenseKey, v.Metadata, v.Issuer, v.Subject = "clé-Ω-🔑", nil, odd.Issuer, odd.Subject
	})
	all.add("verify-other-claims", "claims that a lease does not know are ignored, as RFC 7519 has it",
		call("verify", signer1.sign(signer1.header(), changed(payload(c), `{"iss"`, `{"jti":"x","a":{"exp":1,"b":[{"exp":2}]},"iss"`))).taken(c))
	all.add("verify-white-space", "white space within the JSON of a signed part is harmless",
		call("verify", signer1.sign(" {\n\"kid\" : \""+signer1.kid()+"\",\t\"typ\":\""+lease.Type+"\", \"alg\":\"EdDSA\"} ", " "+payload(c)+"\n")).taken(c))
	all.add("verify-escaped-names", "escapes in JSON spell the same names and values",
		call("verify", signer1.sign(changed(signer1.header(), `"alg"`, `"\u0061lg"`), changed(payload(c), `"prod_`, `"\u0070rod_`))).taken(c))

	big := claims()
	for len(signer1.lease(big)) < lease.MaxTokenSize-700 {
		big.Nonce += "n"
		if len(big.Nonce) == 512 {
			break
		}
	}
	filler := func(n int) string {
		return signer1.sign(signer1.header(), changed(payload(c), `{"iss"`, `{"x":"`+strings.Repeat("x", n)+`","iss"`))
	}
	n := 0
	for len(filler(n+1)) <= lease.MaxTokenSize {
		n++
	}
	all.add("verify-largest", "as long as a lease may be", call("verify", filler(n)).taken(c))
	all.add("forged-too-large", "one byte of claims too long", forged(lease.ReasonMalformed, filler(n+1)))
}

func addForms(all vectors, made sample) {
	good := made.token(signer1)
	part := strings.Split(good, ".")
	header, body, signature := part[0], part[1], part[2]
	malformed := func(name, about, token string) {
		all.add(made.prefix+"forged-"+name, about, made.forged(lease.ReasonMalformed, token))
	}
	malformed("empty", "nothing at all", "")
	malformed("dots", "three empty parts", "..")
	malformed("not-a-token", "an error page", "<!DOCTYPE html><title>502</title>")
	malformed("two-parts", "stripped signature, and its dot", header+"."+body)
	all.add(made.prefix+"forged-signature-stripped", "stripped signature", made.forged(lease.ReasonSignature, header+"."+body+"."))
	malformed("four-parts", "a fourth part", good+"."+signature)
	malformed("five-parts", "the form of a JWE", good+"."+signature+"."+signature)
	malformed("trailing-dot", "a fourth part that is empty", good+".")
	malformed("leading-dot", "an empty part before", "."+good)
	malformed("trailing-space", "trailing data: a space", good+" ")
	malformed("trailing-newline", "trailing data: a line break", good+"\n")
	malformed("trailing-nul", "trailing data: a zero byte", good+"\x00")
	malformed("leading-space", "a space before", " "+good)
	malformed("inner-newline", "a line break inside, which many base64 decoders pass over", header+"."+body[:8]+"\r\n"+body[8:]+"."+signature)
	malformed("trailing-characters", "trailing data: as many characters as make no whole byte", good+"AAA")
	all.add(made.prefix+"forged-trailing-character", "trailing data: one more character", made.forged(lease.ReasonSignature, good+"A"))
	malformed("json-serialization", "the same JWS in its JSON form", `{"payload":"`+body+`","protected":"`+header+`","signature":"`+signature+`"}`)
	all.add(made.prefix+"forged-trailing-bytes", "trailing data: three more bytes of signature", made.forged(lease.ReasonSignature, good+"AAAA"))
	all.add(made.prefix+"forged-short-signature", "a signature without its last byte", made.forged(lease.ReasonSignature, header+"."+body+"."+b64(unb64(signature)[:63])))
	all.add(made.prefix+"forged-parts-swapped", "header and claims swapped", made.forged(lease.ReasonHeader, body+"."+header+"."+signature))
	all.add(made.prefix+"forged-signature-first", "signature and header swapped", made.forged(lease.ReasonMalformed, signature+"."+body+"."+header))
	all.add(made.prefix+"forged-signature-of-another", "the signature of another lease of the same key", made.forged(lease.ReasonSignature, header+"."+body+"."+strings.Split(signer1.sign(made.header(signer1), made.other), ".")[2]))
	all.add(made.prefix+"forged-claims-of-another", "the claims of another lease of the same key", made.forged(lease.ReasonSignature, header+"."+strings.Split(signer1.sign(made.header(signer1), made.other), ".")[1]+"."+signature))

	malformed("padded-signature", "base64 with padding", good+"==")
	malformed("padded-header", "base64 with padding inside", header+"=."+body+"."+signature)
	// Some signature holds characters in which the two alphabets differ.
	plain := strings.NewReplacer("-", "+", "_", "/")
	if plain.Replace(signature) == signature {
		panic("the alphabets spell this signature alike")
	}
	malformed("plain-base64", "the signature re-encoded in plain base64's alphabet", header+"."+body+"."+plain.Replace(signature))
	malformed("unused-bits-signature", "an unused bit of the signature's base64 set: the same bytes, spelled otherwise", header+"."+body+"."+nextCharacter(signature))
	// Re-signed, so that only the encoding is at fault.
	short := made.header(signer1)
	for len(short)%3 == 0 {
		short += " "
	}
	resign := func(header, body string) string {
		return header + "." + body + "." + b64(signer1.raw(header+"."+body))
	}
	malformed("unused-bits-header", "an unused bit of the header's base64 set, and signed so", resign(nextCharacter(b64([]byte(short))), body))
	malformed("padded-and-signed", "padding that is signed", resign(b64([]byte(short))+"=", body))
	malformed("newline-and-signed", "a line break that is signed", resign(header[:8]+"\n"+header[8:], body))
	slashes := b64([]byte(changed(made.payload, `{"iss"`, `{"x":"???>>>~~~","iss"`)))
	if plain.Replace(slashes) == slashes {
		panic("the alphabets spell these claims alike")
	}
	malformed("plain-base64-and-signed", "plain base64's alphabet, and signed so", resign(header, plain.Replace(slashes)))
}

// nextCharacter sets the lowest bit of the last character, which is unused.
func nextCharacter(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	if len(text)%4 == 0 || last&1 != 0 {
		panic("no unused bit, or it is set")
	}
	return text[:len(text)-1] + alphabet[last+1:last+2]
}

func addHeaders(all vectors, made sample) {
	h := made.header(signer1)
	add := func(name, about string, reason lease.Reason, header string) {
		all.add(made.prefix+"forged-"+name, about, made.forged(reason, signer1.sign(header, made.payload)))
	}
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64([]byte(made.payload)) + "." }
	none := changed(h, `"EdDSA"`, `"none"`)
	all.add(made.prefix+"forged-alg-none", "alg none, unsigned", made.forged(lease.ReasonAlgorithm, unsigned(none)))
	all.add(made.prefix+"forged-alg-none-signed", "alg none, with a signature that nobody would check", made.forged(lease.ReasonAlgorithm, signer2.sign(none, made.payload)))
	all.add(made.prefix+"forged-alg-none-case", "alg none in mixed case", made.forged(lease.ReasonAlgorithm, unsigned(changed(h, `"EdDSA"`, `"nOnE"`))))
	add("alg-case", "alg in another case", lease.ReasonAlgorithm, changed(h, `"EdDSA"`, `"eddsa"`))
	add("alg-ed25519", "the newer name of the algorithm (RFC 9864): one name only", lease.ReasonAlgorithm, changed(h, `"EdDSA"`, `"Ed25519"`))
	add("alg-missing", "no alg", lease.ReasonAlgorithm, changed(h, `"alg":"EdDSA",`, ``))
	add("alg-list", "alg is a list", lease.ReasonMalformed, changed(h, `"EdDSA"`, `["EdDSA"]`))
	add("alg-null", "alg is null", lease.ReasonMalformed, changed(h, `"EdDSA"`, `null`))
	add("alg-twice", "two algs, the good one first", lease.ReasonMalformed, changed(h, `"EdDSA"`, `"EdDSA","alg":"none"`))
	add("alg-twice-escaped", "two algs, one spelled with an escape", lease.ReasonMalformed, changed(h, `"EdDSA"`, `"EdDSA","\u0061lg":"EdDSA"`))

	mac := func(key []byte) string {
		signed := b64([]byte(changed(h, `"EdDSA"`, `"HS256"`))) + "." + b64([]byte(made.payload))
		m := hmac.New(sha256.New, key)
		m.Write([]byte(signed))
		return signed + "." + b64(m.Sum(nil))
	}
	all.add(made.prefix+"forged-hs256-public-key", "HS256, with the public key's bytes as the secret", made.forged(lease.ReasonAlgorithm, mac(unb64(signer1.public()))))
	all.add(made.prefix+"forged-hs256-public-text", "HS256, with the public key's text as the secret", made.forged(lease.ReasonAlgorithm, mac([]byte(signer1.public()))))
	all.add(made.prefix+"forged-es256", "another curve: ES256, P-256", made.forged(lease.ReasonAlgorithm, es256(changed(h, `"EdDSA"`, `"ES256"`), made.payload)))
	all.add(made.prefix+"forged-p256-as-eddsa", "another curve's signature under our alg and kid", made.forged(lease.ReasonSignature, es256(h, made.payload)))
	ed448 := strings.TrimSuffix(unsigned(h), ".") + "." + b64(append(signer1.raw("ed448"), make([]byte, 50)...))
	all.add(made.prefix+"forged-ed448-length", "another curve: EdDSA too, but of Ed448's length", made.forged(lease.ReasonSignature, ed448))

	kid := `"kid":"` + signer1.kid() + `"`
	all.add(made.prefix+"forged-own-key", "signed by the forger's key, under its own kid", made.forged(lease.ReasonKeyID, made.token(signer2)))
	all.add(made.prefix+"forged-own-key-our-kid", "signed by the forger's key, under our kid", made.forged(lease.ReasonSignature, signer2.sign(h, made.payload)))
	all.add(made.prefix+"forged-kid-of-other-key", "signed by one configured key under the kid of the other", made.forged(lease.ReasonSignature, signer2.sign(h, made.payload)), func(v *vector) {
		v.PublicKeys = append(v.PublicKeys, signer2.public())
	})
	add("kid-unknown", "well signed, but the kid names another key", lease.ReasonKeyID, changed(h, kid, `"kid":"`+signer2.kid()+`"`))
	add("kid-missing", "well signed, no kid", lease.ReasonKeyID, changed(h, kid+`,`, ``))
	add("kid-empty", "well signed, empty kid", lease.ReasonKeyID, changed(h, kid, `"kid":""`))
	add("kid-number", "kid is a number", lease.ReasonMalformed, changed(h, kid, `"kid":1`))
	add("kid-twice", "two kids", lease.ReasonMalformed, changed(h, kid, kid+`,`+kid))
	add("kid-path", "a kid that would be a path elsewhere", lease.ReasonKeyID, changed(h, kid, `"kid":"../../dev/null"`))

	typ := `"typ":"` + made.typ + `"`
	add("typ-jwt", "well signed, but a JWT for something else", lease.ReasonType, changed(h, typ, `"typ":"JWT"`))
	add("typ-missing", "well signed, no typ", lease.ReasonType, changed(h, `,`+typ, ``))
	add("typ-case", "typ in another case", lease.ReasonType, changed(h, typ, `"typ":"WHOP`+made.typ[4:]+`"`))
	add("typ-application", "typ as a whole media type", lease.ReasonType, changed(h, typ, `"typ":"application/`+made.typ+`"`))

	more := func(name, about, member string) {
		add(name, about, lease.ReasonHeader, changed(h, `}`, `,`+member+`}`))
	}
	more("crit-unknown", "an unknown critical header", `"crit":["exp2"],"exp2":1`)
	more("crit-empty", "an empty list of critical headers", `"crit":[]`)
	more("crit-b64", "an unencoded payload (RFC 7797)", `"crit":["b64"],"b64":false`)
	more("b64-false", "an unencoded payload that is not critical", `"b64":false`)
	more("zip", "a compressed payload", `"zip":"DEF"`)
	more("jku", "a link to keys", `"jku":"https://forger.example/jwks.json"`)
	more("cty", "another harmless header", `"cty":"JWT"`)
	own := `"jwk":{"crv":"Ed25519","kty":"OKP","x":"` + signer2.public() + `"}`
	all.add(made.prefix+"forged-jwk", "the forger's key, brought along", made.forged(lease.ReasonHeader, signer2.sign(changed(made.header(signer2), `}`, `,`+own+`}`), made.payload)))

	malformed := func(name, about, header string) { add(name, about, lease.ReasonMalformed, header) }
	malformed("header-empty", "an empty header", "")
	malformed("header-null", "a header that is null", "null")
	malformed("header-array", "a header that is an array", "["+h+"]")
	malformed("header-trailing-comma", "not JSON", changed(h, `}`, `,}`))
	malformed("header-trailing-data", "something after the header's JSON", h+"{}")
	malformed("header-nul", "a zero byte after the header's JSON", h+"\x00")
	malformed("header-bom", "a byte order mark before the header", "\uFEFF"+h)
	malformed("header-cut", "half a header", h[:len(h)-1])
	malformed("header-utf8", "a header that is not UTF-8", changed(h, `}`, `,"x":"`+"\xff"+`"}`))
	malformed("header-surrogate", "half a surrogate pair", changed(h, `}`, `,"x":"\ud800"}`))
	malformed("header-comment", "a comment", changed(h, `}`, `/**/}`))
}

// raw signs any text.
func (s signer) raw(text string) []byte {
	signature, err := s.private.Sign(nil, []byte(text), crypto.Hash(0))
	must(err)
	return signature
}

func es256(header, payload string) string {
	seed := sha256.Sum256([]byte("whop-license test key P-256"))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	must(err)
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	must(err)
	var rs struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(der, &rs)
	must(err)
	return signed + "." + b64(append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...))
}
