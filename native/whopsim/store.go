package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A store finds memberships by id and by licence key, in the order they came.
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

// remake gives the membership a new licence key; the old one is then unknown.
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

// A limit refuses more than max calls in any window. With a cool-down, it then
// refuses all until that has passed.
type limit struct {
	max              int // 0: no limit
	window, coolDown time.Duration
	calls            []time.Time
	closedUntil      time.Time
}

// take counts a call, or says how long to wait.
func (l *limit) take(now time.Time) (time.Duration, bool) {
	if l.max == 0 {
		return 0, true
	}
	if now.Before(l.closedUntil) {
		return l.closedUntil.Sub(now), false
	}
	old := 0
	for old < len(l.calls) && now.Sub(l.calls[old]) >= l.window {
		old++
	}
	l.calls = slices.Delete(l.calls, 0, old)
	if len(l.calls) < l.max {
		l.calls = append(l.calls, now)
		return 0, true
	}
	if l.coolDown > 0 {
		l.closedUntil = now.Add(l.coolDown)
		l.calls = l.calls[:0]
		return l.coolDown, false
	}
	return l.window - now.Sub(l.calls[0]), false
}
