package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"unicode/utf8"
)

// validate is v2's validate_license: compare the machine id with the stored one, and
// bind the license if none is stored.
func (s *simulator) validate(c *exchange, m *membership) result {
	sent, err := sentMetadata(c)
	if err != nil {
		return failed(c, http.StatusBadRequest, err.Error())
	}
	if sent == nil {
		return failed(c, http.StatusBadRequest, "metadata is required")
	}
	if len(m.metadata) > 0 && !s.matches(m.metadata, sent) {
		return failed(c, http.StatusBadRequest, "Please reset your key to use on a new machine")
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
func (s *simulator) patch(c *exchange, m *membership) result {
	if key := c.r.Header.Get("Idempotency-Key"); utf8.RuneCountInString(key) > 255 {
		return failed(c, http.StatusBadRequest, "Idempotency-Key must have at most 255 characters")
	}
	sent, err := sentMetadata(c)
	if err == nil {
		err = validateMetadata(sent)
	}
	if err != nil {
		return failed(c, http.StatusBadRequest, err.Error())
	}
	if earlier, ok, err := s.idempotent.find(c); err != nil {
		return failed(c, http.StatusBadRequest, err.Error())
	} else if ok {
		return result{replayed: &earlier}
	}
	if sent == nil {
		return result{membership: *m}
	}
	next := map[string]any{}
	merges := s.cfg.PatchSemantics == "merge" || s.cfg.PatchSemantics == "version" && c.version.date != legacyVersion
	if merges && len(sent) > 0 {
		maps.Copy(next, m.metadata)
	}
	maps.Copy(next, sent)
	maps.DeleteFunc(next, func(_ string, value any) bool { return value == nil })
	if err := validateMetadata(next); err != nil {
		return failed(c, http.StatusBadRequest, err.Error())
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

func failed(c *exchange, status int, message string) result {
	a := apiError(c.op, status, "invalid_request", message)
	return result{failed: &a}
}

// sentMetadata reads a request's metadata; nil if there is none. Other members
// of the body, such as a nonce, are ignored.
func sentMetadata(c *exchange) (map[string]any, error) {
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

func validateMetadata(m map[string]any) error {
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

// maxIdempotencyKeys is how many answers are kept for repetition.
const maxIdempotencyKeys = 10_000

// idempotency repeats the answer to a write that is sent again with the same
// key.
type idempotency struct {
	kept  map[string]keptAnswer
	order []string
}

type keptAnswer struct {
	request [sha256.Size]byte
	answer  answer
}

func newIdempotency() idempotency { return idempotency{kept: map[string]keptAnswer{}} }

func (i *idempotency) find(c *exchange) (answer, bool, error) {
	kept, ok := i.kept[c.r.Header.Get("Idempotency-Key")]
	if !ok {
		return answer{}, false, nil
	}
	if kept.request != fingerprint(c) {
		return answer{}, false, errors.New("Idempotency-Key was used for another request")
	}
	return kept.answer, true, nil
}

func (i *idempotency) keep(c *exchange, a answer) {
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

func fingerprint(c *exchange) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(c.key()+"\n"), c.body...))
}
