package lease

import (
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	algorithm = "EdDSA"

	// Type is the header's typ.
	Type = "whop-license-lease+jwt"
)

const newLease = "; ask the server again for a new one"

// open checks a token's form, header and signature, and returns its claims.
func open(token string, keys []PublicKey) (Claims, error) {
	if len(token) > MaxTokenSize {
		return Claims{}, refuse(ReasonMalformed, "the lease is over 4 KiB"+newLease)
	}
	if strings.Count(token, ".") != 2 {
		return Claims{}, refuse(ReasonMalformed, "the lease is not a JWS of three parts"+newLease)
	}
	signed := token[:strings.LastIndexByte(token, '.')]
	header, payload, _ := strings.Cut(signed, ".")
	headerJSON, ok1 := decodeBase64(header)
	payloadJSON, ok2 := decodeBase64(payload)
	signature, ok3 := decodeBase64(token[len(signed)+1:])
	if !ok1 || !ok2 || !ok3 {
		return Claims{}, refuse(ReasonMalformed, "a part of the lease is not unpadded base64url"+newLease)
	}
	kid, err := readHeader(headerJSON)
	if err != nil {
		return Claims{}, err
	}
	key, ok := find(keys, kid)
	if !ok {
		return Claims{}, refuse(ReasonKeyID, "the lease is signed by a key that is not configured; check that the public key is the gateway's")
	}
	if !key.verify([]byte(signed), signature) {
		return Claims{}, refuse(ReasonSignature, "the lease's signature is wrong, so it was forged or altered"+newLease)
	}
	return readClaims(payloadJSON)
}

func find(keys []PublicKey, kid string) (PublicKey, bool) {
	for _, key := range keys {
		if key.id == kid && key.negative != nil {
			return key, true
		}
	}
	return PublicKey{}, false
}

func readHeader(json []byte) (kid string, err error) {
	var alg, typ string
	known := true
	whole := readObject(json, func(d *jsontext.Decoder, name string) bool {
		switch name {
		case "alg":
			return readText(d, &alg)
		case "typ":
			return readText(d, &typ)
		case "kid":
			return readText(d, &kid)
		}
		known = false
		return d.SkipValue() == nil
	})
	switch {
	case !whole:
		return "", refuse(ReasonMalformed, "the lease's header is not what a lease's is"+newLease)
	case !known:
		return "", refuse(ReasonHeader, "the lease's header has a member other than alg, kid and typ"+newLease)
	case alg != algorithm:
		return "", refuse(ReasonAlgorithm, "the lease is not signed by EdDSA"+newLease)
	case typ != Type:
		return "", refuse(ReasonType, "the token is signed to be something else than a lease"+newLease)
	}
	return kid, nil
}

func readClaims(json []byte) (c Claims, err error) {
	texts := map[string]*string{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience,
		"nonce": &c.Nonce, "lic": &c.LicenseKeyHash, "hwm": &c.MetadataHash,
	}
	numbers := map[string]*int64{
		"iat": &c.IssuedAt, "nbf": &c.NotBefore, "exp": &c.ExpiresAt, "grace": &c.Grace,
	}
	need := len(texts) + len(numbers)
	whole := readObject(json, func(d *jsontext.Decoder, name string) bool {
		text, number := texts[name], numbers[name]
		if text == nil && number == nil {
			return d.SkipValue() == nil
		}
		need--
		switch {
		case number != nil:
			return readInteger(d, number)
		case name == "aud":
			return readAudience(d, text)
		}
		return readText(d, text)
	})
	if !whole || need > 0 {
		return Claims{}, refuse(ReasonMalformed, "the lease lacks a claim, or has one of the wrong type"+newLease)
	}
	if err := c.check(); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// readObject reports whether json is one object, strictly spelled, of whose
// members each was taken by member, which reads exactly one value.
func readObject(json []byte, member func(d *jsontext.Decoder, name string) bool) bool {
	d := jsontext.NewDecoder(strings.NewReader(string(json)))
	if d.PeekKind() != '{' {
		return false
	}
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil || !member(d, name.String()) {
			return false
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return false
	}
	_, err := d.ReadToken()
	return err == io.EOF
}

func readText(d *jsontext.Decoder, dst *string) bool {
	if d.PeekKind() != '"' {
		return false
	}
	token, err := d.ReadToken()
	if err != nil {
		return false
	}
	*dst = token.String()
	return true
}

// readAudience reads a string, or an array of one string, which is how several
// JWT libraries write it (RFC 7519, section 4.1.3).
func readAudience(d *jsontext.Decoder, dst *string) bool {
	if d.PeekKind() != '[' {
		return readText(d, dst)
	}
	if _, err := d.ReadToken(); err != nil || !readText(d, dst) || d.PeekKind() != ']' {
		return false
	}
	_, err := d.ReadToken()
	return err == nil
}

// readInteger reads a number that is written in digits alone.
func readInteger(d *jsontext.Decoder, dst *int64) bool {
	value, err := d.ReadValue()
	if err != nil || len(value) > 15 {
		return false
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int64(c-'0')
	}
	*dst = n
	return true
}
