package main

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// membership is what the gateway keeps of a membership: no customer's name,
// address or license key.
type membership struct {
	id                string
	product           string
	plan              *string
	status            string
	metadata          metadata
	manageURL         *string
	cancelAtPeriodEnd bool
	quantity          int64
	createdAt         *int64 // Unix seconds, as all times here
	expiresAt         *int64
	periodStart       *int64
	periodEnd         *int64
}

// wireMembership reads both shapes of Whop's Current API, with and without a
// pinned Api-Version-Date.
type wireMembership struct {
	ID                 string    `json:"id"`
	LicenseKey         string    `json:"license_key"` // null reads as none
	Status             string    `json:"status"`
	Metadata           metadata  `json:"metadata"`
	Product            reference `json:"product"`
	ProductID          string    `json:"product_id"`
	Plan               reference `json:"plan"`
	PlanID             string    `json:"plan_id"`
	ManageURL          *string   `json:"manage_url"`
	CancelAtPeriodEnd  bool      `json:"cancel_at_period_end"`
	Quantity           *int64    `json:"quantity"`
	CreatedAt          unixTime  `json:"created_at"`
	ExpiresAt          unixTime  `json:"expires_at"`
	RenewalPeriodStart unixTime  `json:"renewal_period_start"`
	RenewalPeriodEnd   unixTime  `json:"renewal_period_end"`
	CurrentPeriodStart unixTime  `json:"current_period_start"`
	CurrentPeriodEnd   unixTime  `json:"current_period_end"`
}

// parseMembership reads the body of a look-up by license key or membership id
// that succeeded. An error means that the answer can't be trusted, not that the
// license is bad.
func parseMembership(body []byte, asked string) (*membership, error) {
	var w wireMembership
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, errors.New("not a membership in JSON") // the cause could quote personal data
	}
	if !isMembershipID(w.ID) || len(w.ID) > 100 || strings.Trim(w.ID, idCharacters) != "" {
		return nil, errors.New("no membership id")
	}
	if isMembershipID(asked) && w.ID != asked || !isMembershipID(asked) && w.LicenseKey != "" && !strings.EqualFold(w.LicenseKey, asked) {
		return nil, errors.New("another membership than was asked for")
	}
	m := &membership{
		id:                w.ID,
		product:           first(w.ProductID, string(w.Product)),
		status:            w.Status,
		metadata:          w.Metadata,
		manageURL:         w.ManageURL,
		cancelAtPeriodEnd: w.CancelAtPeriodEnd,
		quantity:          1, // what v2 says of a membership; the Current API has no such member
		createdAt:         w.CreatedAt.seconds,
		expiresAt:         w.ExpiresAt.seconds,
		periodStart:       first(w.RenewalPeriodStart, w.CurrentPeriodStart).seconds,
		periodEnd:         first(w.RenewalPeriodEnd, w.CurrentPeriodEnd).seconds,
	}
	if plan := first(w.PlanID, string(w.Plan)); plan != "" {
		m.plan = &plan
	}
	if w.Quantity != nil {
		m.quantity = *w.Quantity
	}
	if m.product == "" {
		return nil, errors.New("no product id")
	}
	if m.status == "" {
		return nil, errors.New("no status")
	}
	return m, nil
}

// isMembershipID reports whether Whop would take text for a membership's id
// rather than a license key.
func isMembershipID(text string) bool {
	return strings.HasPrefix(text, "mem_") && len(text) > len("mem_")
}

const idCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

func first[T comparable](a, b T) T {
	var none T
	if a != none {
		return a
	}
	return b
}

// reference is the id of another object, given bare or as an object that has it.
type reference string

func (r *reference) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return json.UnmarshalDecode(dec, (*string)(r))
	}
	var object struct {
		ID string `json:"id"`
	}
	err := json.UnmarshalDecode(dec, &object)
	*r = reference(object.ID)
	return err
}

// unixTime is a time given as ISO 8601, in Unix seconds, or null.
type unixTime struct{ seconds *int64 }

func (t *unixTime) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case 'n':
		_, err := dec.ReadToken()
		return err
	case '"':
		var text string
		if err := json.UnmarshalDecode(dec, &text); err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return err
		}
		seconds := at.Unix()
		t.seconds = &seconds
		return nil
	}
	var number float64
	if err := json.UnmarshalDecode(dec, &number); err != nil {
		return err
	}
	if number < 0 || number > 1<<40 {
		return errors.New("a time out of range")
	}
	seconds := int64(math.Floor(number))
	t.seconds = &seconds
	return nil
}
