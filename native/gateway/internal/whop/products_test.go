package whop

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// answering returns a client of a server that answers each request with a
// status and a body.
func answering(t *testing.T, answer func(r *http.Request) (int, string)) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, body := answer(r)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	require.NoError(t, err)
	return New(Config{Base: base, APIKey: "apikey-PRIVATE", Version: "2025-01-01", Timeout: 10 * time.Second, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()})
}

func TestProductsAreReadPageByPage(t *testing.T) {
	endless := false
	w := answering(t, func(r *http.Request) (int, string) {
		q := r.URL.Query()
		switch {
		case r.URL.Path == "/accounts/me":
			return 200, `{"id":"biz_1","title":"Acme","balances":[]}`
		case q.Get("company_id") != "biz_1": // as the version 2025-01-01 has it
			return 400, `{"error":{"type":"bad_request","message":"company_id is required"}}`
		case q.Get("after") == "" || endless:
			return 200, `{"data":[{"id":"prod_1","title":"One"}],"page_info":{"has_next_page":true,"end_cursor":"a/ b"}}`
		default:
			assert.Equal(t, "a/ b", q.Get("after"))
			return 200, `{"data":[{"id":"prod_2","title":null,"company":{"id":"biz_1"}}],"page_info":{"has_next_page":false,"end_cursor":"c"}}`
		}
	})
	account, list, err := w.Products(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "biz_1", account)
	assert.Equal(t, []Product{{ID: "prod_1", Title: "One"}, {ID: "prod_2", Account: "biz_1"}}, list)

	endless = true
	_, list, err = w.Products(t.Context())
	require.NoError(t, err)
	assert.Len(t, list, maxProductPages)
}

func TestAnswersAboutProductsThatCantBeUsed(t *testing.T) {
	for body, kind := range map[string]Kind{
		`<html>`:                       badAnswer,
		`{}`:                           badAnswer,
		`{"id":7}`:                     badAnswer,
		`{"id":"prod_1\u0007"}`:        badAnswer,
		`{"id":"prod_1","id":"prod_2"`: badAnswer,
	} {
		w := answering(t, func(*http.Request) (int, string) { return 200, body })
		_, _, err := w.Products(t.Context())
		assertKind(t, kind, err, body)
		_, err = w.Product(t.Context(), "prod_1")
		assertKind(t, kind, err, body)
	}
	for _, page := range []string{`[]`, `{"data":{}}`, `{"data":["prod_1"]}`, `{"data":[{"title":"x"}]}`} {
		w := answering(t, func(r *http.Request) (int, string) {
			if r.URL.Path == "/accounts/me" {
				return 200, `{"id":"biz_1"}`
			}
			return 200, page
		})
		_, _, err := w.Products(t.Context())
		assertKind(t, badAnswer, err, page)
	}
}

func TestAProductThatWhopDoesNotHave(t *testing.T) {
	for body, kind := range map[string]Kind{
		`{"error":{"type":"not_found","message":"No such Product found with the provided ID: prod_1"}}`: "",
		`{"error":{"type":"not_found","message":"Product not found in any membership"}}`:                "",
		`{"error":{"type":"not_found","message":"No such route: GET /products/prod_1"}}`:                otherNotFound,
		`<html>404</html>`: badAnswer,
	} {
		w := answering(t, func(*http.Request) (int, string) { return 404, body })
		p, err := w.Product(t.Context(), "prod_1")
		assert.Nil(t, p)
		if kind == "" {
			assert.NoError(t, err, body)
		} else {
			assertKind(t, kind, err, body)
		}
	}
}

func TestWhatIsSaidOfProductsHoldsNoSecret(t *testing.T) {
	w := answering(t, func(r *http.Request) (int, string) {
		return 403, fmt.Sprintf(`{"error":{"message":"%s may not"}}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	_, _, err := w.Products(t.Context())
	assertKind(t, forbidden, err, "")
	assert.Contains(t, Advice(err), "access_pass:basic:read")
	assert.NotContains(t, Advice(err), "PRIVATE")
}

func assertKind(t *testing.T, kind Kind, err error, about string) {
	t.Helper()
	var f *Failure
	if assert.True(t, errors.As(err, &f), about) {
		assert.Equal(t, kind, f.Kind, about)
	}
}
