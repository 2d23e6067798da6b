package lease

// Reason is the stable name of the reason why a token or a public key was refused.
type Reason string

// The reasons that an [Error] can carry. The signature is verified before the claims,
// so a token with a bad signature is never refused for its claims.
const (
	ReasonPublicKey   Reason = "public_key"    // not a public key; from [ParsePublicKey] only
	ReasonMalformed   Reason = "malformed"     // not a token: wrong parts, encoding or JSON, or a claim of the wrong type or range
	ReasonHeader      Reason = "header"        // the header has a member other than alg, kid and typ, such as crit
	ReasonAlgorithm   Reason = "alg"           // not signed with EdDSA
	ReasonType        Reason = "typ"           // another kind of token
	ReasonKeyID       Reason = "kid"           // signed with a key that was not given
	ReasonSignature   Reason = "signature"     // not signed with the key that it names, or altered since
	ReasonIssuer      Reason = "issuer"        // from another server
	ReasonAudience    Reason = "audience"      // for another product
	ReasonSubject     Reason = "subject"       // for another membership
	ReasonLicenseKey  Reason = "license_key"   // for another license key
	ReasonMetadata    Reason = "metadata"      // for another machine
	ReasonNonce       Reason = "nonce"         // for another request
	ReasonCode        Reason = "code"          // for another refusal than that of the response
	ReasonNotYetValid Reason = "not_yet_valid" // not yet valid when it was issued
	ReasonExpired     Reason = "expired"       // no longer valid
	ReasonClock       Reason = "clock"         // this machine's clock can't be right, so the lease can't be judged
)

// Error says why a token or a public key was refused. It never holds any part of the
// token, the license key or the machine id.
type Error struct {
	Reason  Reason
	Message string // what happened, and what to do about it unless that is to try again
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func refuse(reason Reason, message string) *Error { return &Error{reason, message} }
