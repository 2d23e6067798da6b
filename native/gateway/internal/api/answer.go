package api

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// success is a membership as API v2 gave it, without anything about the customer.
type success struct {
	ID                 string           `json:"id"`
	Product            string           `json:"product"`
	Plan               *string          `json:"plan"`
	Status             string           `json:"status"`
	Valid              bool             `json:"valid"`
	LicenseKey         string           `json:"license_key"`
	Metadata           binding.Metadata `json:"metadata"`
	ExpiresAt          *int64           `json:"expires_at"`
	RenewalPeriodStart *int64           `json:"renewal_period_start"`
	RenewalPeriodEnd   *int64           `json:"renewal_period_end"`
	CreatedAt          *int64           `json:"created_at"`
	CancelAtPeriodEnd  bool             `json:"cancel_at_period_end"`
	Quantity           int64            `json:"quantity"`
	ManageURL          *string          `json:"manage_url"`
	Lease              string           `json:"lease,omitzero"` // a compact JWS; see [lease.Claims]
}

// newSuccess returns the key and the metadata that the app itself sent. The app
// learns neither another key of the membership nor what else is stored there.
func newSuccess(m *check.Membership, q *request) success {
	return success{
		ID:                 m.ID,
		Product:            m.Product,
		Plan:               m.Plan,
		Status:             v2Status(m.Status),
		Valid:              true,
		LicenseKey:         q.Key,
		Metadata:           q.Sent,
		ExpiresAt:          m.ExpiresAt,
		RenewalPeriodStart: m.PeriodStart,
		RenewalPeriodEnd:   m.PeriodEnd,
		CreatedAt:          m.CreatedAt,
		CancelAtPeriodEnd:  m.CancelAtPeriodEnd || m.Status == canceling,
		Quantity:           m.Quantity,
		ManageURL:          m.ManageURL,
	}
}

// canceling is the one entitled status that v2 did not document.
const canceling = "canceling"

// v2Status returns a status by its name in v2, where a membership that is to end
// was "active" until then: old apps compare with the names that they know.
func v2Status(status string) string {
	if status == canceling {
		return "active"
	}
	return status
}

// errorAnswer is any answer that is not a success. The code is for programs,
// the message for people.
type errorAnswer struct {
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Message    string        `json:"message"`
	Proof      string        `json:"proof,omitzero"` // of a refusal; a compact JWS, see [lease.RefusalClaims]
	retryAfter time.Duration // sent as Retry-After if positive
}

func refusal(o check.Outcome) errorAnswer {
	switch o {
	case check.Mismatch:
		return errorAnswer{Status: http.StatusBadRequest, Code: "metadata_mismatch", Message: "Please reset your key to use on a new machine"}
	case check.Inactive:
		return errorAnswer{Status: http.StatusForbidden, Code: "license_inactive", Message: "This license is not active"}
	default:
		return errorAnswer{Status: http.StatusNotFound, Code: "not_found", Message: "No such Membership found with the provided ID"}
	}
}

func invalidRequest(message string) errorAnswer {
	return errorAnswer{Status: http.StatusBadRequest, Code: "invalid_request", Message: message}
}

func rateLimited(retryAfter time.Duration) errorAnswer {
	return errorAnswer{Status: http.StatusTooManyRequests, Code: "rate_limited", Message: "Too many requests; try again later", retryAfter: retryAfter}
}

// writeJSON writes an answer that no cache may keep.
func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		panic("an answer can be written: " + err.Error())
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Cache-Control"] = []string{"no-store"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func writeError(w http.ResponseWriter, f errorAnswer) {
	if f.retryAfter > 0 {
		seconds := max(1, int(math.Ceil(f.retryAfter.Seconds())))
		w.Header()["Retry-After"] = []string{strconv.Itoa(seconds)}
	}
	writeJSON(w, f.Status, struct {
		Error errorAnswer `json:"error"`
	}{f})
}

// writeNoSuchPath answers for paths that the gateway does not have. It is not
// JSON, because a 404 in JSON means that a license does not exist.
func writeNoSuchPath(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "There is nothing here. Licenses are checked at POST /api/v2/memberships/{license key}/validate_license.", http.StatusNotFound)
}
