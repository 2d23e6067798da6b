package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const maxFileBytes = 64 << 20

// A membership is what the simulator keeps of one purchase. Its metadata is
// never changed in place, only replaced, so a copy of the struct is a snapshot.
type membership struct {
	id, licenseKey                  string
	product, productTitle           string
	plan                            string
	company, companyTitle           string
	user, username, userName, email string
	status                          string
	valid                           *bool // nil: follows from status
	metadata                        map[string]any
	manageURL                       string
	cancelAtPeriodEnd               bool
	quantity                        int64
	createdAt, expiresAt            *int64 // Unix seconds
	renewalPeriodStart, renewalEnd  *int64
	members                         map[string]json.RawMessage // in answers, in place of the version's own
	without                         []string                   // left out of answers
	fault, faultRetryAfter          string
	faultOn                         []operation
	faultTimes                      int64 // 0: always
	faultDelay                      time.Duration
	faultProbability                float64
	chance                          *rand.Rand     // of the fault; nil until it is needed
	fired                           int64          // how often the fault has fired
	previous                        map[string]any // metadata before the last write
	written                         bool           // whether there was a write
	remade                          int            // how often the license key was remade
}

// The statuses that Whop documents, and whether the customer may use the product.
var statuses = map[string]bool{
	"trialing": true, "active": true, "past_due": true, "completed": true, "canceling": true,
	"canceled": false, "expired": false, "unresolved": false, "drafted": false,
}

func (m *membership) entitled() bool {
	if m.valid != nil {
		return *m.valid
	}
	return statuses[m.status]
}

const (
	defaultProduct = "prod_sim"
	defaultCompany = "biz_sim"
)

// newMembership builds one from the members of a JSON object; license_key is
// required, and everything else has a default that follows from it.
func newMembership(fields map[string]json.RawMessage) (membership, error) {
	m := membership{
		product: defaultProduct, productTitle: "Simulated product",
		plan:    "plan_sim",
		company: defaultCompany, companyTitle: "Simulated company",
		status: "active", metadata: map[string]any{}, quantity: 1,
		faultDelay: 3 * time.Second, faultProbability: 1, faultRetryAfter: "1",
	}
	created := int64(1735689600) // 2025-01-01, so that answers are the same in every run
	m.createdAt = &created
	if _, ok := fields["license_key"]; !ok {
		return m, errors.New("license_key: missing")
	}
	if err := m.set(fields); err != nil {
		return m, err
	}
	sum := sha256.Sum256([]byte(m.licenseKey))
	tag := hex.EncodeToString(sum[:7])
	for _, d := range []struct {
		field *string
		value string
	}{
		{&m.id, "mem_" + tag}, {&m.user, "user_" + tag}, {&m.username, "user-" + tag},
		{&m.userName, "Customer " + tag[:4]}, {&m.email, "customer-" + tag + "@example.com"},
		{&m.manageURL, "https://whop.com/billing/manage/mem_" + tag},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	return m, nil
}

// set sets all of the fields, or none if one is wrong.
func (m *membership) set(fields map[string]json.RawMessage) error {
	next := *m
	setters := next.setters()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		setter, ok := setters[name]
		if !ok {
			return fmt.Errorf("%s: unknown field; known are %s", name, strings.Join(slices.Sorted(maps.Keys(setters)), ", "))
		}
		if err := setter(fields[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if _, ok := fields["fault"]; ok {
		next.fired = 0
		if fields["fault_probability"] == nil {
			next.faultProbability = 1
			if next.fault == "random-500" {
				next.faultProbability = 0.5
			}
		}
	}
	*m = next
	return nil
}

func (m *membership) setters() map[string]func(json.RawMessage) error {
	return map[string]func(json.RawMessage) error{
		"license_key":          text(&m.licenseKey),
		"id":                   text(&m.id),
		"product":              text(&m.product),
		"product_title":        text(&m.productTitle),
		"plan":                 text(&m.plan),
		"company":              text(&m.company),
		"company_title":        text(&m.companyTitle),
		"user":                 text(&m.user),
		"username":             text(&m.username),
		"name":                 text(&m.userName),
		"email":                text(&m.email),
		"manage_url":           text(&m.manageURL),
		"status":               oneOf(&m.status, slices.Sorted(maps.Keys(statuses))),
		"valid":                optional(&m.valid),
		"metadata":             metadataField(&m.metadata),
		"cancel_at_period_end": boolean(&m.cancelAtPeriodEnd),
		"quantity":             integer(&m.quantity, 0, math.MaxInt32),
		"created_at":           unixTime(&m.createdAt),
		"expires_at":           unixTime(&m.expiresAt),
		"renewal_period_start": unixTime(&m.renewalPeriodStart),
		"renewal_period_end":   unixTime(&m.renewalEnd),
		"members":              rawMembers(&m.members),
		"without":              names(&m.without),
		"fault":                nullable(&m.fault, oneOf(&m.fault, faultNames())),
		"fault_on":             operationList(&m.faultOn),
		"fault_times":          integer(&m.faultTimes, 0, math.MaxInt32),
		"fault_delay":          duration(&m.faultDelay),
		"fault_probability":    probability(&m.faultProbability),
		"fault_retry_after":    header(&m.faultRetryAfter),
	}
}

// fields returns the membership in the form of the memberships file.
func (m *membership) fields() map[string]any {
	f := map[string]any{
		"license_key": m.licenseKey, "id": m.id,
		"product": m.product, "product_title": m.productTitle, "plan": m.plan,
		"company": m.company, "company_title": m.companyTitle,
		"user": m.user, "username": m.username, "name": m.userName, "email": m.email,
		"manage_url": m.manageURL, "status": m.status, "valid": m.valid, "metadata": m.metadata,
		"cancel_at_period_end": m.cancelAtPeriodEnd, "quantity": m.quantity,
		"created_at": m.createdAt, "expires_at": m.expiresAt,
		"renewal_period_start": m.renewalPeriodStart, "renewal_period_end": m.renewalEnd,
	}
	if m.members != nil {
		f["members"] = m.members
	}
	if m.without != nil {
		f["without"] = m.without
	}
	if m.fault != "" {
		f["fault"] = m.fault
		if m.faultOn != nil {
			f["fault_on"] = m.faultOn
		}
		f["fault_times"] = m.faultTimes
		f["fault_delay"] = m.faultDelay.String()
		f["fault_probability"] = m.faultProbability
		f["fault_retry_after"] = m.faultRetryAfter
	}
	return f
}

// loadMemberships reads a memberships file. Its errors name the index and the
// field.
func loadMemberships(name string) ([]membership, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxFileBytes)
	}
	list, err := parseMemberships(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func parseMemberships(data []byte) ([]membership, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("not a JSON array of objects: %w", err)
	}
	if raw == nil {
		return nil, errors.New("not a JSON array of objects: null")
	}
	list := make([]membership, 0, len(raw))
	for i, item := range raw {
		fields, err := object(item)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		m, err := newMembership(fields)
		if err != nil {
			return nil, fmt.Errorf("[%d].%w", i, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// object reads exactly one JSON object, with nothing after it. Unlike reading into a
// struct, it takes members by their exact names.
func object(data []byte) (map[string]json.RawMessage, error) {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("not a JSON object")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	return fields, nil
}
