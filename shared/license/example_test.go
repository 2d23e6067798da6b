//go:build !js

package license_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// httpTransport sends requests with net/http.
type httpTransport struct{ client *http.Client }

func (t httpTransport) Send(_ license.Context, r *license.Request) (*license.Response, error) {
	request, err := http.NewRequest(r.Method, r.URL, strings.NewReader(string(r.Body)))
	if err != nil {
		return nil, err
	}
	for _, h := range r.Header {
		request.Header.Set(h[0], h[1])
	}
	response, err := t.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, license.MaxBody+1))
	if err != nil {
		return nil, err
	}
	return &license.Response{Status: response.StatusCode, RetryAfter: response.Header.Get("Retry-After"), Body: body}, nil
}

// systemClock is the time of the operating system.
type systemClock struct{}

func (systemClock) Now() license.Milliseconds { return license.Milliseconds(time.Now().UnixMilli()) }

func (systemClock) AfterFunc(d license.Milliseconds, f func()) func() {
	timer := time.AfterFunc(time.Duration(d)*time.Millisecond, f)
	return func() { timer.Stop() }
}

// A check ends in a verdict or in an error. Only a verdict says something about the
// license.
func ExampleClient_Validate() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/A1B2C3-D4E5F6-G7H8I9/") {
			fmt.Fprint(w, `{"id": "mem_1", "valid": true}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error": {"code": "not_found", "message": "There is no such license key"}}`)
	}))
	client := license.Client{
		Transport: httpTransport{server.Client()},
		Clock:     systemClock{},
		Random:    func() float64 { return 0.5 },
	}
	check := func(licenseKey string) {
		verdict, err := client.Validate(context.Background(), license.Query{
			Endpoint:   server.URL,
			LicenseKey: licenseKey,
			MachineID:  map[string]string{"HWID": "m1"},
		}, license.RetryPolicy{Attempts: 1})
		var failure *license.Error
		switch {
		case errors.As(err, &failure):
			fmt.Println("no verdict:", failure.Code, "retryable:", failure.Retryable())
		case verdict.Code == license.Valid:
			fmt.Println("valid")
		default:
			fmt.Println("refused:", verdict.Code, "-", verdict.Message)
		}
	}
	check("A1B2C3-D4E5F6-G7H8I9")
	check("TYPO-D4E5F6-G7H8I9")
	server.Close()
	check("A1B2C3-D4E5F6-G7H8I9")
	// Output:
	// valid
	// refused: not_found - There is no such license key
	// no verdict: unavailable retryable: true
}

// With a public key, a response counts only if the gateway signed it.
func ExampleTrust() {
	key, err := lease.ParsePublicKey("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		panic(err)
	}
	query := license.Query{
		LicenseKey: "A1B2C3-D4E5F6-G7H8I9",
		Trust:      &license.Trust{Keys: []lease.PublicKey{key}},
		Nonce:      lease.Nonce([16]byte{1, 2, 3}), // random, and another one for each check
	}
	_, err = license.ReadResponse(query, &license.Response{Status: 200, Body: []byte(`{"valid": true}`)}, 0)
	fmt.Println(err.(*license.Error).Code)
	// Output: untrusted_response
}

func ExampleParseKey() {
	key, err := license.ParseKey(" A1B2C3-D4E5F6-G7H8I9\n")
	fmt.Println(key, err)
	_, err = license.ParseKey("A1B2C3–D4E5F6")
	fmt.Println(err)
	// Output:
	// A1B2C3-D4E5F6-G7H8I9 <nil>
	// licenseKey: has “–” (U+2013) where a hyphen "-" belongs; type the key or copy it again
}

func ExampleShortenKey() {
	fmt.Println(license.ShortenKey("A1B2C3-D4E5F6-G7H8I9"))
	fmt.Println(license.Redact("No such key: a1b2c3-d4e5f6-g7h8i9", "A1B2C3-D4E5F6-G7H8I9"))
	// Output:
	// A1B2…H8I9
	// No such key: A1B2…H8I9
}
