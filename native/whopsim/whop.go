package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// validate is v2's validate_license: check, and on first use bind.
func (s *simulator) validate(c *call, m *membership) result {
	sent, err := sentMetadata(c)
	if err != nil {
		return refused(c, http.StatusBadRequest, err.Error())
	}
	if sent == nil {
		return refused(c, http.StatusBadRequest, "metadata is required")
	}
	if len(m.metadata) > 0 && !s.matches(m.metadata, sent) {
		return refused(c, http.StatusBadRequest, "Please reset your key to use on a new machine")
	}
	bind := m.entitled() && len(m.metadata) == 0 && len(sent) > 0
	if bind {
		m.write(sent)
	}
	return result{membership: *m, wrote: bind}
}

// matches compares what was sent to what is stored, by name and value.
func (s *simulator) matches(stored, sent map[string]any) bool {
	if len(sent) == 0 {
		return s.cfg.EmptyMetadata == "match"
	}
	for name, value := range sent {
		if have, ok := stored[name]; !ok || !reflect.DeepEqual(have, value) {
			return false
		}
	}
	return true
}

// patch is the Current API's update. {} clears under either semantics.
func (s *simulator) patch(c *call, m *membership) result {
	if key := c.r.Header.Get("Idempotency-Key"); utf8.RuneCountInString(key) > 255 {
		return refused(c, http.StatusBadRequest, "Idempotency-Key must have at most 255 characters")
	}
	sent, err := sentMetadata(c)
	if err == nil {
		err = checkMetadata(sent)
	}
	if err != nil {
		return refused(c, http.StatusBadRequest, err.Error())
	}
	if earlier, ok, err := s.idempotent.find(c); err != nil {
		return refused(c, http.StatusBadRequest, err.Error())
	} else if ok {
		return result{replayed: &earlier}
	}
	if sent == nil {
		return result{membership: *m}
	}
	next := map[string]any{}
	if s.cfg.PatchSemantics == "merge" && len(sent) > 0 {
		maps.Copy(next, m.metadata)
	}
	maps.Copy(next, sent)
	maps.DeleteFunc(next, func(_ string, value any) bool { return value == nil })
	if err := checkMetadata(next); err != nil {
		return refused(c, http.StatusBadRequest, err.Error())
	}
	m.write(next)
	return result{membership: *m, wrote: true}
}

// isJSON tells whether a request says that its body is JSON.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

func (m *membership) write(metadata map[string]any) {
	m.previous, m.metadata, m.written = m.metadata, metadata, true
}

func refused(c *call, status int, message string) result {
	a := refuse(c.op, status, "invalid_request", message)
	return result{refused: &a}
}

// sentMetadata reads a request's metadata; nil if there is none. Other members
// of the body, such as a nonce, are ignored.
func sentMetadata(c *call) (map[string]any, error) {
	if !utf8.Valid(c.body) {
		return nil, errors.New("the body is not valid UTF-8")
	}
	fields, err := object(c.body)
	if err != nil {
		return nil, errors.New("the body is not a JSON object")
	}
	raw, ok := fields["metadata"]
	if !ok {
		return nil, nil
	}
	m, err := metadata(raw)
	if err != nil {
		return nil, errors.New("metadata must be an object")
	}
	return m, nil
}

// The limits that Whop documents for metadata.
const (
	maxMetadataKeys  = 50
	maxMetadataName  = 100
	maxMetadataValue = 500
)

func checkMetadata(m map[string]any) error {
	if len(m) > maxMetadataKeys {
		return fmt.Errorf("metadata may have at most %d keys", maxMetadataKeys)
	}
	for name, value := range m {
		if utf8.RuneCountInString(name) > maxMetadataName {
			return fmt.Errorf("a metadata key may have at most %d characters", maxMetadataName)
		}
		if s, ok := value.(string); ok && utf8.RuneCountInString(s) > maxMetadataValue {
			return fmt.Errorf("a metadata value may have at most %d characters", maxMetadataValue)
		}
	}
	return nil
}

// shapeFor picks the form of the answer. The dates that Whop knows are not
// public as a list; here every day of 2026 is one, and the first version.
func shapeFor(c *call) (func(*membership) map[string]any, error) {
	if c.op == opValidate {
		return shapeV2, nil
	}
	values := c.r.Header.Values("Api-Version-Date")
	if len(values) == 0 {
		return shapeUnpinned, nil
	}
	date := strings.Join(values, ", ")
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return nil, fmt.Errorf("Api-Version-Date %q is not a date of the form YYYY-MM-DD", date)
	}
	switch {
	case date == "2025-01-01":
		return shapeUnpinned, nil
	case strings.HasPrefix(date, "2026-"):
		return shapePinned, nil
	}
	return nil, fmt.Errorf("Api-Version-Date %s is not a known version", date)
}

func shapeV2(m *membership) map[string]any {
	return map[string]any{
		"id": m.id, "product": m.product, "user": m.user, "plan": m.plan, "email": m.email,
		"license_key": m.licenseKey, "status": m.status, "valid": m.entitled(),
		"manage_url": m.manageURL, "cancel_at_period_end": m.cancelAtPeriodEnd,
		"metadata": orEmpty(m.metadata), "quantity": m.quantity,
		"created_at": m.createdAt, "expires_at": m.expiresAt,
		"renewal_period_start": m.renewalPeriodStart, "renewal_period_end": m.renewalEnd,
	}
}

// orEmpty is for v2, which has no null metadata.
func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// shapeUnpinned is the Current API's membership as of 2025-01-01.
func shapeUnpinned(m *membership) map[string]any {
	f := shapeBoth(m)
	f["product"] = map[string]any{"id": m.product, "title": m.productTitle}
	f["plan"] = map[string]any{"id": m.plan}
	f["company"] = map[string]any{"id": m.company, "title": m.companyTitle}
	f["renewal_period_end"] = iso(m.renewalEnd)
	return f
}

// shapePinned is that of the versions of 2026.
func shapePinned(m *membership) map[string]any {
	f := shapeBoth(m)
	f["product_id"] = m.product
	f["plan_id"] = m.plan
	f["account"] = map[string]any{"id": m.company, "title": m.companyTitle}
	f["current_period_end"] = iso(m.renewalEnd)
	return f
}

func shapeBoth(m *membership) map[string]any {
	return map[string]any{
		"id": m.id, "status": m.status, "license_key": m.licenseKey, "metadata": m.metadata,
		"user":       map[string]any{"id": m.user, "username": m.username, "name": m.userName, "email": m.email},
		"manage_url": m.manageURL, "cancel_at_period_end": m.cancelAtPeriodEnd,
		"created_at": iso(m.createdAt),
	}
}

func iso(seconds *int64) any {
	if seconds == nil {
		return nil
	}
	return time.Unix(*seconds, 0).UTC().Format("2006-01-02T15:04:05.000Z")
}

// maxIdempotencyKeys is how many answers are kept to be repeated.
const maxIdempotencyKeys = 10_000

// idempotency repeats the answer to a write that comes again with its key.
type idempotency struct {
	kept  map[string]keptAnswer
	order []string
}

type keptAnswer struct {
	request [sha256.Size]byte
	answer  answer
}

func newIdempotency() idempotency { return idempotency{kept: map[string]keptAnswer{}} }

func (i *idempotency) find(c *call) (answer, bool, error) {
	kept, ok := i.kept[c.r.Header.Get("Idempotency-Key")]
	if !ok {
		return answer{}, false, nil
	}
	if kept.request != fingerprint(c) {
		return answer{}, false, errors.New("Idempotency-Key was used for another request")
	}
	return kept.answer, true, nil
}

func (i *idempotency) keep(c *call, a answer) {
	key := c.r.Header.Get("Idempotency-Key")
	if key == "" {
		return
	}
	if len(i.order) == maxIdempotencyKeys {
		delete(i.kept, i.order[0])
		i.order = i.order[1:]
	}
	i.kept[key] = keptAnswer{fingerprint(c), a}
	i.order = append(i.order, key)
}

func fingerprint(c *call) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(c.key()+"\n"), c.body...))
}
