package lease

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/jsonobject"
)

const (
	algorithm = "EdDSA"

	// Type is the header's typ of a lease.
	Type = "whop-license-lease+jwt"
)

// kind is one of the two kinds of token. Their headers differ, so neither is taken for
// the other.
type kind struct{ typ, name string }

var (
	leaseToken   = kind{Type, "the lease"}
	refusalProof = kind{RefusalType, "the refusal's proof"}
)

func (k kind) refuse(reason Reason, problem string) *Error { return &Error{reason, k.name + problem} }

// open verifies a token's form, header and signature, and returns its payload.
func (k kind) open(token string, keys []PublicKey) ([]byte, error) {
	if len(token) > MaxTokenSize {
		return nil, k.refuse(ReasonMalformed, " is over 4 KiB")
	}
	if strings.Count(token, ".") != 2 {
		return nil, k.refuse(ReasonMalformed, " is not a JWS of three parts")
	}
	signed := token[:strings.LastIndexByte(token, '.')]
	header, payload, _ := strings.Cut(signed, ".")
	headerJSON, ok1 := decodeBase64(header)
	payloadJSON, ok2 := decodeBase64(payload)
	signature, ok3 := decodeBase64(token[len(signed)+1:])
	if !ok1 || !ok2 || !ok3 {
		return nil, k.refuse(ReasonMalformed, " has a part that is not unpadded base64url")
	}
	kid, err := k.readHeader(headerJSON)
	if err != nil {
		return nil, err
	}
	key, ok := find(keys, kid)
	if !ok {
		return nil, k.refuse(ReasonKeyID, " is signed with a key that is not configured")
	}
	if !key.verify([]byte(signed), signature) {
		return nil, k.refuse(ReasonSignature, "'s signature is wrong, so it was forged or altered")
	}
	return payloadJSON, nil
}

func find(keys []PublicKey, kid string) (PublicKey, bool) {
	for _, key := range keys {
		if key.id == kid && key.negative != nil {
			return key, true
		}
	}
	return PublicKey{}, false
}

func (k kind) readHeader(json []byte) (kid string, err error) {
	var alg, typ string
	known := true
	err = jsonobject.Read(json, func(d *jsontext.Decoder, name string) error {
		switch name {
		case "alg":
			return readText(d, &alg)
		case "typ":
			return readText(d, &typ)
		case "kid":
			return readText(d, &kid)
		}
		known = false
		return d.SkipValue()
	})
	switch {
	case err != nil:
		return "", k.refuse(ReasonMalformed, "'s header can't be read")
	case !known:
		return "", k.refuse(ReasonHeader, "'s header has a member other than alg, kid and typ")
	case alg != algorithm:
		return "", k.refuse(ReasonAlgorithm, " is not signed with EdDSA")
	case typ != k.typ:
		return "", k.refuse(ReasonType, " is another kind of token")
	}
	return kid, nil
}

// readClaims reads claims from a payload: texts into a *string, and whole numbers into
// an *int64. All of the claims must be there. Others are ignored.
func (k kind) readClaims(json []byte, claims map[string]any) error {
	need := len(claims)
	err := jsonobject.Read(json, func(d *jsontext.Decoder, name string) error {
		place, known := claims[name]
		if !known {
			return d.SkipValue()
		}
		need--
		switch place := place.(type) {
		case *int64:
			return readInteger(d, place)
		case *string:
			if name == "aud" {
				return readAudience(d, place)
			}
			return readText(d, place)
		}
		return errWrongType
	})
	if err != nil || need > 0 {
		return k.refuse(ReasonMalformed, " lacks a claim, or has one of the wrong type")
	}
	return nil
}

func readClaims(json []byte) (c Claims, err error) {
	err = leaseToken.readClaims(json, map[string]any{
		"iss": &c.Issuer, "sub": &c.Subject, "aud": &c.Audience,
		"iat": &c.IssuedAt, "nbf": &c.NotBefore, "exp": &c.ExpiresAt,
		"nonce": &c.Nonce, "lic": &c.LicenseKeyHash, "hwm": &c.MetadataHash, "grace": &c.Grace,
	})
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

var errWrongType = errors.New("wrong type")

func readText(d *jsontext.Decoder, dst *string) error {
	if d.PeekKind() != '"' {
		return errWrongType
	}
	token, err := d.ReadToken()
	if err == nil {
		*dst = token.String()
	}
	return err
}

// readAudience reads a string, or an array of one string, which is how several
// JWT libraries write it (RFC 7519, section 4.1.3).
func readAudience(d *jsontext.Decoder, dst *string) error {
	if d.PeekKind() != '[' {
		return readText(d, dst)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if err := readText(d, dst); err != nil {
		return err
	}
	if d.PeekKind() != ']' {
		return errWrongType
	}
	_, err := d.ReadToken()
	return err
}

// readInteger reads a number that is written in digits alone.
func readInteger(d *jsontext.Decoder, dst *int64) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if len(value) > 15 {
		return errWrongType
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return errWrongType
		}
		n = n*10 + int64(c-'0')
	}
	*dst = n
	return nil
}
