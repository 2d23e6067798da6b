package gatewaytest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Shapes are memberships in the shapes of Whop's versions, by version, as
// Whop's documentation shows them.
var Shapes = map[string]string{
	"2025-01-01": `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":{"id":"prod_1","title":"T"},"plan":{"id":"plan_1"},"company":{"id":"biz_1","title":"B"},"user":{"id":"user_1","username":"u","name":"n","email":"e"},"manage_url":"https://whop.com/m","cancel_at_period_end":false,"created_at":"2025-01-01T00:00:00Z","joined_at":null,"updated_at":"2025-02-01T00:00:00Z","renewal_period_start":"2025-12-01T00:00:00Z","renewal_period_end":"2026-01-01T00:00:00.000Z","payment_collection_paused":false,"checkout_configuration_id":null}`,
	"mid-2026":   `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product_id":"prod_1","plan_id":"plan_1","user_id":"user_1","account":{"id":"biz_1","title":"B","route":"r"},"member":{"id":"mber_1"},"phone_number":null,"cancel_at_period_end":false,"created_at":"2025-01-01T02:00:00.5+02:00","current_period_start":1764547200,"current_period_end":"2026-01-01T00:00:00Z"}`,
	"2026-11-17": `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":{"id":"prod_1"},"product_id":"prod_1","variant":{"id":"plan_1","plan":[]},"affiliate":{"id":7},"billing_period_days":30.5,"canceled_at":null,"cancel_option":["x"],"cancel_at_period_end":false,"created_at":1735689600,"current_period_start":"2025-12-01T00:00:00Z","current_period_end":1767225600}`,
	"bare ids":   `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product":"prod_1","plan":"plan_1","user":null,"cancel_at_period_end":false,"created_at":1735689600,"renewal_period_start":1764547200,"renewal_period_end":1767225600}`,
	"a variant":  `{"id":"mem_1","status":"active","license_key":"K","metadata":{"HWID":"a"},"product_id":{"id":"prod_1"},"plan":null,"variant_id":"plan_1","cancel_at_period_end":false,"created_at":1735689600,"renewal_period_start":null,"renewal_period_end":null,"current_period_start":1764547200,"current_period_end":1767225600}`,
}

// BlockPage is what a firewall answers in Whop's place.
const BlockPage = `<!doctype html><html><body>Access denied</body></html>`

// Legacy is the shape of the version that the gateway asks for by default.
var Legacy = Shapes["2025-01-01"]

// LegacyWith returns the legacy shape with some members set, or left out if the
// value is empty.
func LegacyWith(members ...string) string {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(Legacy), &all); err != nil {
		panic(err)
	}
	for i := 0; i < len(members); i += 2 {
		delete(all, members[i])
		if members[i+1] != "" {
			all[members[i]] = json.RawMessage(members[i+1])
		}
	}
	var text []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text = append(text, `"`+name+`":`+string(all[name]))
	}
	return "{" + strings.Join(text, ",") + "}"
}

// LegacyPlus returns the legacy shape with more text at the end of the object.
func LegacyPlus(text string) string { return strings.TrimSuffix(Legacy, "}") + text + "}" }
