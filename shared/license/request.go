package license

import "github.com/whop-license/whop-license/shared/lease"

// MaxAPIKeyLength is the greatest length of the seller's API key, in bytes.
const MaxAPIKeyLength = 500

// Query is what one check asks.
type Query struct {
	Endpoint   string            // base URL; see [ParseEndpoint]
	LicenseKey string            // see [ParseKey]
	Metadata   map[string]string // see [CheckMetadata]
	APIKey     string            // the seller's, or empty where a gateway holds it
	Trust      *Trust            // nil where unsigned answers count
	Nonce      string            // base64url of 16 random bytes; needed with Trust
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
	if err := CheckMetadata(q.Metadata); err != nil {
		return nil, err
	}
	endpoint, err := ParseEndpoint(q.Endpoint)
	if err != nil {
		return nil, err
	}
	header := [][2]string{{"Content-Type", "application/json"}, {"Accept", "application/json"}}
	if q.APIKey != "" {
		if err := checkAPIKey(q.APIKey); err != nil {
			return nil, err
		}
		header = append(header, [2]string{"Authorization", "Bearer " + q.APIKey})
	}
	body := append([]byte(`{"metadata":`), lease.CanonicalMetadata(q.Metadata)...)
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

// checkAPIKey keeps anything out of a header that is not visible ASCII.
func checkAPIKey(key string) error {
	if len(key) > MaxAPIKeyLength {
		return Invalid("apiKey", "is longer than 500 characters")
	}
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' || key[i] > '~' {
			return Invalid("apiKey", "contains white space or a character outside ASCII")
		}
	}
	return nil
}
