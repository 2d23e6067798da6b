package whop

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

// A webhook is pinned to a version of its own, so its body has any shape.
func TestEventsInEveryShape(t *testing.T) {
	for body, want := range map[string][]string{
		`{"type":"membership.updated","data":` + gatewaytest.Legacy + `}`:                                             {"mem_1"},
		`{"id":"msg_1","api_version":"v1","type":"membership.updated","data":` + gatewaytest.Shapes["mid-2026"] + `}`: {"mem_1"},
		`{"type":"membership.cancel_at_period_end_changed","data":` + gatewaytest.Shapes["2026-11-17"] + `}`:          {"mem_1"},
		`{"action":"membership.went_invalid","data":{"id":"mem_1","plan":{}}}`:                                        {"mem_1"},
		`{"event":"membership_deactivated","data":"mem_1"}`:                                                           {"mem_1"},
		`{"type":"membership.updated","data":{"id":"evt_1","membership":{"id":"mem_1"},"membership_id":"mem_2"}}`:     {"mem_1", "mem_2"},
		`{"type":"membership.updated","data":{"id":"mem_1","user":{"name":"\ud800"},"note":1,"note":2},"data2":[]}`:   {"mem_1"},
		`{"type":"payment.succeeded","data":{"id":"pay_1","membership":{"id":"mem_1"}}}`:                              nil,
		`{"data":{"id":"mem_1"}}`: nil,
	} {
		_, memberships, err := ReadEvent([]byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, want, memberships, body)
	}
	for _, body := range []string{
		`null`, `[]`, `{"type":7}`, `{"type":"membership.updated"}`, `{"type":"membership.updated","data":null}`,
		`{"type":"membership.updated","type":"x","data":{"id":"mem_1"}}`, `{"type":"membership.updated","data":["mem_1"]}`,
		`{"type":"membership.updated","data":{"id":"mem_1","id":"mem_2"}}`, `{"type":"membership.updated","data":{"id":"user_1"}}`,
	} {
		_, _, err := ReadEvent([]byte(body))
		assert.Error(t, err, body)
	}
}

func FuzzReadEvent(f *testing.F) {
	for _, body := range gatewaytest.Shapes {
		f.Add([]byte(`{"type":"membership.updated","data":` + body + `}`))
	}
	f.Add([]byte(`{"action":"membership.went_valid","data":{"membership":{"id":"mem_1"},"membership_id":"mem_2","\ud800":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, memberships, err := ReadEvent(body)
		if err != nil {
			return
		}
		assert.LessOrEqual(t, len(memberships), 3)
		for _, id := range memberships {
			assert.Regexp(t, `^mem_[A-Za-z0-9_-]+$`, id)
		}
	})
}
