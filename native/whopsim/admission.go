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

// admit verifies the API key, its permissions and the rate limit.
func (s *simulator) admit(c *exchange) (answer, bool) {
	if !s.authorized(c.r) {
		return apiError(c.op, http.StatusUnauthorized, "unauthorized", "The API key is missing or not valid"), false
	}
	s.journal.setAuthorized(c.entry)
	needed := []string{permBasicRead, permEmailRead, permManage}
	switch c.op {
	case opGet:
		needed = needed[:2]
	case opPatch:
		needed = needed[2:]
	case opProducts:
		needed = []string{permProductsRead}
	case opAccount, opProduct: // which any API key may read
		needed = nil
	}
	for _, p := range needed {
		if !slices.Contains(s.cfg.Permissions, p) {
			return apiError(c.op, http.StatusForbidden, "forbidden", "The API key lacks the permission "+p), false
		}
	}
	s.mu.Lock()
	wait, ok := s.rateLimits[c.op].take(time.Now())
	s.mu.Unlock()
	if ok {
		return answer{}, true
	}
	seconds := int64((wait + time.Second - 1) / time.Second)
	a := apiError(c.op, http.StatusTooManyRequests, "rate_limit_exceeded", fmt.Sprintf("Try again in %d seconds.", seconds))
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

// A rateLimit allows max requests in any window. One more starts the cool-down, if
// there is one, in which it allows none.
type rateLimit struct {
	max              int // 0: no limit
	window, coolDown time.Duration
	taken            []time.Time
	closedUntil      time.Time
}

// take counts a request, or returns how long the client must wait.
func (l *rateLimit) take(now time.Time) (time.Duration, bool) {
	if l.max == 0 {
		return 0, true
	}
	if now.Before(l.closedUntil) {
		return l.closedUntil.Sub(now), false
	}
	old := 0
	for old < len(l.taken) && now.Sub(l.taken[old]) >= l.window {
		old++
	}
	l.taken = l.taken[old:]
	if len(l.taken) < l.max {
		l.taken = append(l.taken, now)
		return 0, true
	}
	if l.coolDown > 0 {
		l.closedUntil = now.Add(l.coolDown)
		l.taken = nil
		return l.coolDown, false
	}
	return l.window - now.Sub(l.taken[0]), false
}
