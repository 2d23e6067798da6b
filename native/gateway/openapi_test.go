package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/version"
)

var described = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// validation is the path of a check, with as many slashes too many as are
// forgiven, and without /api as well.
var validation = regexp.MustCompile(`^(?:/+api)?/+v2/+memberships/(.*)/validate_license/*$`)

// conforms compares an answer with openapi.yaml.
func conforms(req *http.Request, a answer) error {
	router, err := described()
	if err != nil {
		return err
	}
	if a.status == http.StatusNotFound && !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		return nil // a path that the gateway does not have, and no verdict
	}
	plain := req.Clone(req.Context())
	plain.URL.Scheme, plain.URL.Host, plain.Host = "", "", ""
	if validation.MatchString(req.URL.EscapedPath()) {
		// The description has room for one segment and knows no slashes too many.
		plain.URL.Path, plain.URL.RawPath = validatePath("K"), ""
	}
	route, params, err := router.FindRoute(plain)
	if errors.Is(err, routers.ErrMethodNotAllowed) && a.status == http.StatusMethodNotAllowed {
		return nil
	}
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: plain, PathParams: params, Route: route},
		Status:                 a.status,
		Header:                 a.header,
		Body:                   io.NopCloser(strings.NewReader(a.body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

func TestDescriptionIsValidAndOfThisVersion(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	assert.Equal(t, version.Version, doc.Info.Version)
}

// A description that accepted anything would make every other test blind.
func TestDescriptionRefusesWhatIsWrong(t *testing.T) {
	req, err := http.NewRequest(http.MethodPost, "http://127.0.0.1"+validatePath("K"), nil)
	require.NoError(t, err)
	json := http.Header{"Content-Type": {"application/json"}}
	good := `{"id":"mem_1","product":"p","plan":null,"status":"active","valid":true,"license_key":"K","metadata":{"HWID":"x"},"expires_at":null,"renewal_period_start":null,"renewal_period_end":1,"created_at":1,"cancel_at_period_end":false,"quantity":1,"manage_url":null}`
	require.NoError(t, conforms(req, answer{201, json, good}))
	assert.Error(t, conforms(req, answer{201, json, strings.Replace(good, `"plan"`, `"email":"x@example.com","plan"`, 1)}))
	assert.Error(t, conforms(req, answer{201, json, strings.Replace(good, `"plan"`, `"reason":"x","plan"`, 1)}))
	assert.Error(t, conforms(req, answer{201, json, strings.Replace(good, `"valid":true`, `"valid":false`, 1)}))
	assert.Error(t, conforms(req, answer{201, json, strings.Replace(good, `"created_at":1`, `"created_at":"2025-01-01"`, 1)}))
	assert.Error(t, conforms(req, answer{503, json, `{"error":{"status":503,"code":"unavailable","message":"m"}}`}), "no Retry-After")
	assert.Error(t, conforms(req, answer{400, json, `{"error":{"status":400,"code":"not_found","message":"m"}}`}))
	proof := `"proof":"` + strings.Repeat("eyJ9.", 2) + `c2ln"`
	assert.NoError(t, conforms(req, answer{404, json, `{"error":{"status":404,"code":"not_found","message":"m",` + proof + `}}`}))
	assert.Error(t, conforms(req, answer{404, json, `{"error":{"status":404,"code":"not_found","message":"m","proof":"x"}}`}))
	assert.Error(t, conforms(req, answer{500, json, `{"error":{"status":500,"code":"internal","message":"m",` + proof + `}}`}), "only a refusal has a proof")
	assert.Error(t, conforms(req, answer{418, json, `{"error":{"status":418,"code":"not_found","message":"m"}}`}))
}
