//go:build js && wasm

// Command naive does the job of the license check in the obvious way, with
// net/http, encoding/json and fmt. The benchmark holds the real module against
// it; nothing else uses it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall/js"
	"time"
)

const maxBody = 64 << 10

type membership struct {
	Valid             bool           `json:"valid"`
	ID                string         `json:"id,omitempty"`
	Product           string         `json:"product,omitempty"`
	Plan              string         `json:"plan,omitempty"`
	Status            string         `json:"status,omitempty"`
	LicenseKey        string         `json:"license_key,omitempty"`
	Metadata          map[string]any `json:"metadata,omitempty"`
	ExpiresAt         *int64         `json:"expires_at"`
	RenewalStart      *int64         `json:"renewal_period_start"`
	RenewalEnd        *int64         `json:"renewal_period_end"`
	CreatedAt         *int64         `json:"created_at"`
	CancelAtPeriodEnd bool           `json:"cancel_at_period_end"`
	Quantity          int64          `json:"quantity"`
	ManageURL         string         `json:"manage_url,omitempty"`
}

type verdict struct {
	Valid      bool        `json:"valid"`
	Code       string      `json:"code"`
	Source     string      `json:"source"`
	CheckedAt  time.Time   `json:"checkedAt"`
	Membership *membership `json:"membership,omitempty"`
	Message    string      `json:"message,omitempty"`
	Status     int         `json:"status,omitempty"`
}

type licenseError struct {
	code       string
	status     int
	retryAfter time.Duration
	message    string
}

func (e *licenseError) Error() string { return e.message }

func (e *licenseError) retryable() bool {
	return e.code == "unavailable" || e.code == "rate_limited"
}

func main() {
	endpoint := os.Getenv("WHOP_LICENSE_ENDPOINT")
	js.Global().Set("validateLicense", js.FuncOf(func(_ js.Value, args []js.Value) any {
		key, hwid := args[0].String(), args[1].String()
		var executor js.Func
		executor = js.FuncOf(func(_ js.Value, settle []js.Value) any {
			resolve, reject := settle[0], settle[1]
			go func() {
				defer executor.Release()
				v, err := validate(endpoint, key, map[string]string{"HWID": hwid})
				if err != nil {
					reject.Invoke(jsError(err))
					return
				}
				out, err := json.Marshal(v)
				if err != nil {
					reject.Invoke(jsError(err))
					return
				}
				resolve.Invoke(js.Global().Get("JSON").Call("parse", string(out)))
			}()
			return nil
		})
		return js.Global().Get("Promise").New(executor)
	}))
	select {}
}

func jsError(err error) js.Value {
	e := js.Global().Get("Error").New(err.Error())
	var known *licenseError
	if errors.As(err, &known) {
		e.Set("code", known.code)
		e.Set("status", known.status)
		e.Set("retryable", known.retryable())
		e.Set("retryAfterMs", known.retryAfter.Milliseconds())
	}
	return e
}

func validate(endpoint, key string, metadata map[string]string) (*verdict, error) {
	key = strings.TrimSpace(key)
	if key == "" || len(key) > 200 || strings.ContainsAny(key, "/?#%\\ \t\r\n") {
		return nil, &licenseError{code: "invalid_argument", message: "licenseKey: is not a license key"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var last error
	for attempt := range 3 {
		v, err := ask(ctx, endpoint, key, metadata)
		if err == nil {
			return v, nil
		}
		last = err
		var known *licenseError
		if !errors.As(err, &known) || !known.retryable() {
			return nil, err
		}
		wait := max(known.retryAfter, rand.N(500*time.Millisecond<<attempt))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, &licenseError{code: "timeout", message: "no answer in time"}
		}
	}
	return nil, last
}

func ask(ctx context.Context, endpoint, key string, metadata map[string]string) (*verdict, error) {
	body, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("%s/api/v2/memberships/%s/validate_license", endpoint, url.PathEscape(key))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, &licenseError{code: "unavailable", message: fmt.Sprintf("can't reach the server: %v", err)}
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, &licenseError{code: "unavailable", message: fmt.Sprintf("the answer broke off: %v", err)}
	}
	return read(response, data)
}

func read(response *http.Response, data []byte) (*verdict, error) {
	status := response.StatusCode
	bad := &licenseError{code: "bad_response", status: status, message: fmt.Sprintf("status %d with a body that makes no sense", status)}
	var refusal struct {
		Error   any    `json:"error"`
		Message string `json:"message"`
	}
	if len(data) > maxBody || json.Unmarshal(data, &refusal) != nil {
		return nil, bad
	}
	message, code := refusal.Message, ""
	switch e := refusal.Error.(type) {
	case string:
		message = e
	case map[string]any:
		message, _ = e["message"].(string)
		code, _ = e["code"].(string)
	}
	no := func(name string) (*verdict, error) {
		return &verdict{Code: name, Source: "server", CheckedAt: time.Now(), Message: message, Status: status}, nil
	}
	switch {
	case status == http.StatusOK || status == http.StatusCreated:
		var m membership
		if json.Unmarshal(data, &m) != nil {
			return nil, bad
		}
		if !m.Valid {
			return no("inactive")
		}
		return &verdict{Valid: true, Code: "valid", Source: "server", CheckedAt: time.Now(), Membership: &m}, nil
	case status == http.StatusBadRequest && code == "invalid_request":
		return nil, &licenseError{code: "invalid_argument", status: status, message: message}
	case status == http.StatusBadRequest:
		return no("metadata_mismatch")
	case status == http.StatusForbidden && code == "license_inactive":
		return no("inactive")
	case status == http.StatusNotFound:
		return no("not_found")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, &licenseError{code: "unauthorized", status: status, message: message}
	case status == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return nil, &licenseError{code: "rate_limited", status: status, retryAfter: time.Duration(seconds) * time.Second, message: message}
	case status == http.StatusRequestTimeout || status >= 500:
		return nil, &licenseError{code: "unavailable", status: status, message: message}
	}
	return nil, bad
}
