package lease

// RefusalType is the header's typ of the proof of a refusal.
const RefusalType = "whop-license-refusal+jwt"

// RefusalClaims is what the proof of a refusal says: a server's "no" to one request.
// IssuedAt is in whole seconds since 1970.
type RefusalClaims struct {
	Issuer         string // iss: the server that answered
	IssuedAt       int64  // iat
	Nonce          string // nonce: the request's
	LicenseKeyHash string // lic: [HashLicenseKey]
	MetadataHash   string // hwm: [HashMetadata]
	Code           string // code: the response's error.code, such as not_found
}

// Payload returns the claims as the JSON to be signed. It returns an [*Error] with
// [ReasonMalformed] for claims that [VerifyRefusal] would refuse as malformed.
func (c RefusalClaims) Payload() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	w := payloadWriter{}
	w.text("iss", c.Issuer)
	w.number("iat", c.IssuedAt)
	w.text("nonce", c.Nonce)
	w.text("lic", c.LicenseKeyHash)
	w.text("hwm", c.MetadataHash)
	w.text("code", c.Code)
	return w.finish(refusalProof)
}

// validate returns an error if a claim is out of range.
func (c RefusalClaims) validate() error {
	switch {
	case !isText(c.Issuer) || !isText(c.Nonce) || !isText(c.Code):
		return refusalProof.refuse(ReasonMalformed, "'s issuer, nonce or code is empty or too long")
	case !isDigest(c.LicenseKeyHash) || !isDigest(c.MetadataHash):
		return refusalProof.refuse(ReasonMalformed, badDigest)
	case !inRange(c.IssuedAt, maxTime):
		return refusalProof.refuse(ReasonMalformed, badTime)
	}
	return nil
}

// VerifyRefusal returns the claims of the proof that a server sent with a refusal, in
// response to the request that carried nonce, or an [*Error]. code is the error.code
// of the response, which must be the one that was signed. A refusal has no audience
// and no subject, so those of want don't count. Without a nonce or keys, VerifyRefusal
// refuses every proof. It needs no clock: the nonce proves that the proof is new.
func VerifyRefusal(token string, keys []PublicKey, want Expect, nonce, code string) (RefusalClaims, error) {
	payload, err := refusalProof.open(token, keys)
	if err != nil {
		return RefusalClaims{}, err
	}
	c, err := readRefusal(payload)
	if err != nil {
		return RefusalClaims{}, err
	}
	if err := want.matchRequest(refusalProof, c.Issuer, c.LicenseKeyHash, c.MetadataHash); err != nil {
		return RefusalClaims{}, err
	}
	switch {
	case nonce == "" || c.Nonce != nonce:
		return RefusalClaims{}, refusalProof.refuse(ReasonNonce, otherNonce)
	case c.Code != code:
		return RefusalClaims{}, refusalProof.refuse(ReasonCode, " is for another refusal than that of the response")
	}
	return c, nil
}

func readRefusal(json []byte) (c RefusalClaims, err error) {
	err = refusalProof.readClaims(json, map[string]any{
		"iss": &c.Issuer, "iat": &c.IssuedAt, "nonce": &c.Nonce,
		"lic": &c.LicenseKeyHash, "hwm": &c.MetadataHash, "code": &c.Code,
	})
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return RefusalClaims{}, err
	}
	return c, nil
}
