package lease

// Reason is the stable name of why a lease, or the proof of a refusal, was refused.
type Reason string

// The reasons that an [Error] can carry. The signature is checked before what is
// claimed, so a token with a bad signature is never refused for its claims.
const (
	ReasonPublicKey   Reason = "public_key"    // the public key is not one (from ParsePublicKey)
	ReasonMalformed   Reason = "malformed"     // not a token: its parts, encoding, JSON, or a claim's type or range
	ReasonHeader      Reason = "header"        // a header member that is not alg, kid or typ, such as crit
	ReasonAlgorithm   Reason = "alg"           // not signed by EdDSA
	ReasonType        Reason = "typ"           // signed, perhaps, but to be something else
	ReasonKeyID       Reason = "kid"           // signed by a key that is not among those given
	ReasonSignature   Reason = "signature"     // not signed by the key that it names, or altered since
	ReasonIssuer      Reason = "issuer"        // of another server
	ReasonAudience    Reason = "audience"      // of another product
	ReasonSubject     Reason = "subject"       // of another membership
	ReasonLicenseKey  Reason = "license_key"   // of another license key
	ReasonMetadata    Reason = "metadata"      // of another machine
	ReasonNonce       Reason = "nonce"         // the answer to another request
	ReasonCode        Reason = "code"          // of another refusal than the answer's
	ReasonNotYetValid Reason = "not_yet_valid" // not valid when it was issued, or yet
	ReasonExpired     Reason = "expired"       // no longer valid
	ReasonClock       Reason = "clock"         // the machine's clock can't be right, so no time can be checked
)

// Error is a refusal of a lease, of a refusal's proof or of a public key. It
// never holds any part of the token, the license key or the metadata.
type Error struct {
	Reason  Reason
	Message string // what happened, and what to do where that is not to ask again
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func refuse(reason Reason, message string) *Error { return &Error{reason, message} }
