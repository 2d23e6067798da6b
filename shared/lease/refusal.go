package lease

// RefusalType is the header's typ of the proof of a refusal.
const RefusalType = "whop-license-refusal+jwt"

// RefusalClaims is what the proof of a refusal says: that a server answered one
// request with no. It proves that answer alone and is never kept. IssuedAt is
// in whole Unix seconds.
type RefusalClaims struct {
	Issuer         string // iss: the server that answered
	IssuedAt       int64  // iat
	Nonce          string // nonce: the request's
	LicenseKeyHash string // lic: [HashLicenseKey]
	MetadataHash   string // hwm: [HashMetadata]
	Code           string // code: the answer's error.code, such as not_found
}

// Payload returns the claims as the JSON to be signed, or an [*Error] with
// [ReasonMalformed] for claims that no verifier here would take.
func (c RefusalClaims) Payload() ([]byte, error) {
	if err := c.check(); err != nil {
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

// check reports claims that are out of range.
func (c RefusalClaims) check() error {
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

// VerifyRefusal returns the claims of the proof that a server sent with a
// refusal, in answer to the request that carried nonce, or an [*Error]. code is
// the answer's own, which must be the one that was signed. Of want, the
// audience and the subject are not asked for: a refusal has none. Without a
// nonce, or with none of the keys, every proof is refused. No clock is asked:
// the nonce proves that the answer is of this moment.
func VerifyRefusal(token string, keys []PublicKey, want Expect, nonce, code string) (RefusalClaims, error) {
	payload, err := refusalProof.open(token, keys)
	if err != nil {
		return RefusalClaims{}, err
	}
	c, err := readRefusal(payload)
	if err != nil {
		return RefusalClaims{}, err
	}
	if err := want.checkRequest(refusalProof, c.Issuer, c.LicenseKeyHash, c.MetadataHash); err != nil {
		return RefusalClaims{}, err
	}
	switch {
	case nonce == "" || c.Nonce != nonce:
		return RefusalClaims{}, refusalProof.refuse(ReasonNonce, otherNonce)
	case c.Code != code:
		return RefusalClaims{}, refusalProof.refuse(ReasonCode, " is of another refusal than the answer's")
	}
	return c, nil
}

func readRefusal(json []byte) (c RefusalClaims, err error) {
	err = refusalProof.readClaims(json, map[string]any{
		"iss": &c.Issuer, "iat": &c.IssuedAt, "nonce": &c.Nonce,
		"lic": &c.LicenseKeyHash, "hwm": &c.MetadataHash, "code": &c.Code,
	})
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return RefusalClaims{}, err
	}
	return c, nil
}
