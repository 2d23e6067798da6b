package license

import (
	"strconv"

	"github.com/whop-license/whop-license/shared/lease"
)

// MaxAPIKeyLength is the greatest length of the seller's API key, in bytes.
const MaxAPIKeyLength = 500

// Query is what one check asks about.
type Query struct {
	Endpoint   string            // the server's base URL; see [ParseEndpoint]
	LicenseKey string            // see [ParseKey]
	MachineID  map[string]string // sent as Whop's metadata, usually {"HWID": …}; see [CheckMetadata]
	APIKey     string            // the seller's, or empty if a gateway holds it
	Trust      *Trust            // nil if responses need no signature
	Nonce      string            // [lease.Nonce]; needed with Trust
	Stored     Stored            // used only with Trust
}

// Request is an HTTP request, ready to be sent as it is.
type Request struct {
	Method string
	URL    string
	Header [][2]string // names and values
	Body   []byte
}

// NewRequest builds the request of one check, or returns an [InvalidArgument]
// error that names what can't be sent.
func NewRequest(q Query) (*Request, error) {
	key, err := ParseKey(q.LicenseKey)
	if err != nil {
		return nil, err
	}
	if err := CheckMetadata(q.MachineID); err != nil {
		return nil, err
	}
	endpoint, err := ParseEndpoint(q.Endpoint)
	if err != nil {
		return nil, err
	}
	header := [][2]string{{"Content-Type", "application/json"}, {"Accept", "application/json"}}
	if q.APIKey != "" {
		if err := validateAPIKey(q.APIKey); err != nil {
			return nil, err
		}
		header = append(header, [2]string{"Authorization", "Bearer " + q.APIKey})
	}
	body := append([]byte(`{"metadata":`), lease.CanonicalMetadata(q.MachineID)...)
	if q.Nonce != "" {
		body = appendString(append(body, `,"nonce":`...), q.Nonce)
	}
	return &Request{
		Method: "POST",
		URL:    endpoint + "/api/v2/memberships/" + escapePath(key) + "/validate_license",
		Header: header,
		Body:   append(body, '}'),
	}, nil
}

// validateAPIKey keeps anything that is not visible ASCII out of a header.
func validateAPIKey(key string) error {
	if len(key) > MaxAPIKeyLength {
		return Invalid("apiKey", longerThan(MaxAPIKeyLength))
	}
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' || key[i] > '~' {
			return Invalid("apiKey", "contains white space or a character outside ASCII")
		}
	}
	return nil
}

// longerThan says what is wrong with an argument of more than max characters.
func longerThan(max int) string { return "is longer than " + strconv.Itoa(max) + " characters" }
