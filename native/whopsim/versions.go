package main

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// legacyVersion is the version that Whop serves to old API keys and continues
// to support.
const legacyVersion = "2025-01-01"

// An apiVersion of the Current API is a value of Api-Version-Date, and the
// members that a membership has in it besides those of every version.
type apiVersion struct {
	date    string
	members func(*membership) map[string]any
}

// versions are the known versions of Whop's API, oldest first.
var versions = []apiVersion{
	{legacyVersion, legacyMembers},
	{"2026-06-08", accountMembers},
	{"2026-06-09", accountMembers},
	{"2026-07-01", accountMembers},
	{"2026-07-20", accountMembers},
	{"2026-07-23", accountMembers},
	{"2026-08-05-1", accountMembers},
	{"2026-08-14", accountMembers},
	{"2026-09-15", accountMembers},
	{"2026-09-25", accountMembers},
	{"2026-09-29", accountMembers},
	{"2026-10-06", accountMembers},
	{"2026-10-07-2", accountMembers},
	{"2026-10-08", accountMembers},
	{"2026-11-17", variantMembers},
}

func latestVersion() string { return versions[len(versions)-1].date }

func versionDates() []string {
	dates := make([]string, len(versions))
	for i, v := range versions {
		dates[i] = v.date
	}
	return dates
}

// versionOf finds a version by its date.
func versionOf(date string) (apiVersion, error) {
	for _, v := range versions {
		if v.date == date {
			return v, nil
		}
	}
	return apiVersion{}, fmt.Errorf("Api-Version-Date %q is not supported. Supported versions: %s", date, strings.Join(versionDates(), ", "))
}

// versionFor is the version that the header names, or where none comes the one
// that the API key has.
func (s *simulator) versionFor(c *exchange) (apiVersion, error) {
	if given := c.r.Header.Values("Api-Version-Date"); len(given) > 0 {
		return versionOf(strings.Join(given, ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return versionOf(s.keyVersion)
}

// shape is the Current API's membership in this version.
func (v apiVersion) shape(m *membership) map[string]any {
	f := v.members(m)
	maps.Copy(f, map[string]any{
		"id": m.id, "status": m.status, "license_key": m.licenseKey, "metadata": m.metadata,
		"cancel_at_period_end": m.cancelAtPeriodEnd, "created_at": iso(m.createdAt),
	})
	return m.own(f)
}

func legacyMembers(m *membership) map[string]any {
	return map[string]any{
		"product": map[string]any{"id": m.product, "title": m.productTitle},
		"plan":    map[string]any{"id": m.plan},
		"company": map[string]any{"id": m.company, "title": m.companyTitle},
		"user":    map[string]any{"id": m.user, "username": m.username, "name": m.userName, "email": m.email},

		"manage_url": m.manageURL, "joined_at": iso(m.createdAt), "updated_at": iso(m.createdAt),
		"renewal_period_start": iso(m.renewalPeriodStart), "renewal_period_end": iso(m.renewalEnd),
		"payment_collection_paused": false, "checkout_configuration_id": nil,
	}
}

func accountMembers(m *membership) map[string]any {
	return map[string]any{
		"account":    map[string]any{"id": m.company, "title": m.companyTitle, "route": strings.ToLower(m.company)},
		"product_id": m.product, "plan_id": m.plan, "user_id": m.user,
		"current_period_end": iso(m.renewalEnd),
		"phone_number":       "+1 555 0100", "member": map[string]any{"id": "mber_" + strings.TrimPrefix(m.user, "user_")},
	}
}

// variantMembers has variants for plans, and more that Whop documents by name only.
func variantMembers(m *membership) map[string]any {
	f := accountMembers(m)
	delete(f, "plan_id")
	maps.Copy(f, map[string]any{
		"variant_id": m.plan,
		"affiliate":  nil, "billing_period_days": 30, "canceled_at": nil,
		"cancel_option": nil,
	})
	return f
}

func shapeV2(m *membership) map[string]any {
	return m.own(map[string]any{
		"id": m.id, "product": m.product, "user": m.user, "plan": m.plan, "email": m.email,
		"license_key": m.licenseKey, "status": m.status, "valid": m.entitled(),
		"manage_url": m.manageURL, "cancel_at_period_end": m.cancelAtPeriodEnd,
		"metadata": orEmpty(m.metadata), "quantity": m.quantity,
		"created_at": m.createdAt, "expires_at": m.expiresAt,
		"renewal_period_start": m.renewalPeriodStart, "renewal_period_end": m.renewalEnd,
	})
}

// orEmpty is for v2, which has no null metadata.
func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// own applies the memberships file's overrides of single members.
func (m *membership) own(f map[string]any) map[string]any {
	for name, value := range m.members {
		f[name] = value
	}
	for _, name := range m.without {
		delete(f, name)
	}
	return f
}

func iso(seconds *int64) any {
	if seconds == nil {
		return nil
	}
	return time.Unix(*seconds, 0).UTC().Format("2006-01-02T15:04:05.000Z")
}
