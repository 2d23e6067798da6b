package api

import (
	"net/http"
	"slices"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxHeader is how much the address of a request and the headers that are kept may
// take. What apps, browsers and proxies send is smaller.
const maxHeader = 4 << 10

// requestedHeaders is what a page asks whether it may send. It may be long, and is
// then not answered.
const requestedHeaders = "Access-Control-Request-Headers"

// keptHeaders are those that something here reads.
var keptHeaders = []string{
	"Origin", "Content-Type", "X-Forwarded-For",
	"Access-Control-Request-Method", requestedHeaders, "Access-Control-Request-Private-Network",
	http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookID),
	http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookTimestamp),
	http.CanonicalHeaderKey(standardwebhooks.HeaderWebhookSignature),
}

// shedHeaders drops what nothing reads of a request's headers, which thousands of
// names can make take ten times what was sent, for as long as the request waits. It
// reports false if what is left is too long all the same.
func shedHeaders(r *http.Request) bool {
	kept, size := make(http.Header, 4), len(r.RequestURI)
	for _, name := range keptHeaders {
		values, length := r.Header[name], 0
		for _, value := range values {
			length += len(value) + 1
		}
		if length == 0 || name == requestedHeaders && length > maxRequestedHeaders {
			continue
		}
		size += length
		kept[name] = slices.Clone(values) // which shared memory with the values of all
	}
	r.Header = kept
	return size <= maxHeader
}
