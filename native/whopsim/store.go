package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// A store finds memberships by id and by license key, and lists them in the
// order in which they were added.
type store struct {
	list  []*membership
	index map[string]*membership
}

func newStore() store { return store{index: map[string]*membership{}} }

func (s *store) find(key string) *membership { return s.index[key] }

func (s *store) add(m *membership) error {
	if s.index[m.licenseKey] != nil {
		return fmt.Errorf("license_key: %q is already taken", m.licenseKey)
	}
	if s.index[m.id] != nil || m.id == m.licenseKey {
		return fmt.Errorf("id: %q is already taken", m.id)
	}
	s.list = append(s.list, m)
	s.index[m.licenseKey], s.index[m.id] = m, m
	return nil
}

// remake gives the membership a new license key; the old one is then unknown.
func (s *store) remake(m *membership) {
	delete(s.index, m.licenseKey)
	for {
		m.remade++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", m.id, m.remade))
		h := strings.ToUpper(hex.EncodeToString(sum[:9]))
		m.licenseKey = h[:6] + "-" + h[6:12] + "-" + h[12:]
		if s.index[m.licenseKey] == nil {
			break
		}
	}
	s.index[m.licenseKey] = m
}
