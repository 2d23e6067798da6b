package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func TestHeadersThatNothingReadsAreDropped(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	for i := range 1000 {
		r.Header.Set(fmt.Sprintf("X-%d", i), "a")
	}
	r.Header.Set("Origin", "https://app.example.com")
	r.Header["X-Forwarded-For"] = []string{"1.1.1.1", "198.51.100.1"}
	r.Header.Set("Webhook-Signature", "v1,AAAA")
	r.Header.Set("Access-Control-Request-Headers", strings.Repeat("a", maxRequestedHeaders+1))
	assert.True(t, shedHeaders(r))
	assert.Equal(t, http.Header{
		"Origin": {"https://app.example.com"}, "X-Forwarded-For": {"1.1.1.1", "198.51.100.1"}, "Webhook-Signature": {"v1,AAAA"},
	}, r.Header)
}

func TestWhatIsKeptOfARequestIsBounded(t *testing.T) {
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("a", maxHeader) },
		func(r *http.Request) { r.Header.Set("X-Forwarded-For", strings.Repeat("1.1.1.1, ", maxHeader/9+1)) },
		func(r *http.Request) { r.Header["Origin"] = make([]string, maxHeader+1) },
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		assert.True(t, shedHeaders(r))
		change(r)
		assert.False(t, shedHeaders(r))
	}
}

func TestTooMuchIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	api := New(Config{Checker: noChecker{}, Proofs: Unsigned{}, Notices: noNotices{}, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v2/memberships/"+strings.Repeat("a", maxHeader)+"/validate_license", nil))
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, w.Code)
	assert.NotEqual(t, "application/json", w.Header().Get("Content-Type"), "nothing is said of a license")
}
