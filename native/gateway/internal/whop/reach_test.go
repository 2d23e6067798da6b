package whop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

// The calls about other licenses show what a refusal affects.
func TestReach(t *testing.T) {
	refused, through := error(newFailure(forbidden, errNotHTTP)), error(nil)
	at := time.Now()
	type call struct {
		id    byte
		err   error
		after time.Duration
		want  scope
	}
	for name, calls := range map[string][]call{
		"the first":                   {{1, refused, 0, scopeUnknown}, {1, refused, 0, scopeUnknown}},
		"two, and none got through":   {{1, refused, 0, scopeUnknown}, {2, refused, 0, scopeAll}},
		"others got through":          {{1, through, 0, scopeUnknown}, {2, refused, 0, scopeLicense}, {2, refused, 0, scopeLicense}, {3, refused, 0, scopeLicense}, {4, refused, 0, scopeAll}},
		"others are known":            {{1, check.ErrUnknown, 0, scopeUnknown}, {2, refused, 0, scopeLicense}},
		"others got through long ago": {{1, through, 0, scopeUnknown}, {2, refused, scopeMemory, scopeUnknown}, {3, refused, 0, scopeAll}},
		"the same got through":        {{1, through, 0, scopeUnknown}, {1, refused, 0, scopeUnknown}},
		"an outage shows nothing":     {{1, newFailure(timeout, errNotHTTP), 0, scopeUnknown}, {2, refused, 0, scopeUnknown}},
		"a wrong API key":             {{1, through, 0, scopeUnknown}, {2, newFailure(unauthorized, errNotHTTP), 0, scopeAll}},
	} {
		var r reach
		now := at
		for i, c := range calls {
			now = now.Add(c.after + time.Second)
			assert.Equal(t, c.want, r.of(tag.Tag{c.id}, c.err, now), "%s: %d", name, i)
		}
	}
}
