package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// admit checks the API key, its permissions and the rate limit.
func (s *simulator) admit(c *call) (answer, bool) {
	if !s.authorized(c.r) {
		return refuse(c.op, http.StatusUnauthorized, "unauthorized", "The API key is missing or not valid"), false
	}
	s.journal.setAuthorized(c.entry)
	needed := []string{permBasicRead, permEmailRead, permManage}
	switch c.op {
	case opGet:
		needed = needed[:2]
	case opPatch:
		needed = needed[2:]
	}
	for _, p := range needed {
		if !slices.Contains(s.cfg.Permissions, p) {
			return refuse(c.op, http.StatusForbidden, "forbidden", "The API key lacks the permission "+p), false
		}
	}
	s.mu.Lock()
	wait, ok := s.limits[c.op].take(time.Now())
	s.mu.Unlock()
	if ok {
		return answer{}, true
	}
	seconds := int64((wait + time.Second - 1) / time.Second)
	a := refuse(c.op, http.StatusTooManyRequests, "rate_limit_exceeded", fmt.Sprintf("Try again in %d seconds.", seconds))
	if c.op == opValidate {
		a.body = []byte(`{"message":"You are being rate limited"}`)
	}
	if s.cfg.RetryAfter {
		a.retryAfter = fmt.Sprint(seconds)
	}
	return a, false
}

func (s *simulator) authorized(r *http.Request) bool {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(key))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], s.apiKey[:]) == 1
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
	l.calls = l.calls[old:]
	if len(l.calls) < l.max {
		l.calls = append(l.calls, now)
		return 0, true
	}
	if l.coolDown > 0 {
		l.closedUntil = now.Add(l.coolDown)
		l.calls = nil
		return l.coolDown, false
	}
	return l.window - now.Sub(l.calls[0]), false
}
