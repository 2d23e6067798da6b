package binding

import (
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	r := Rules{MaxMachines: 2, SellerNames: map[string]bool{"note": true}}
	for stored, want := range map[string]string{
		`{}`:                                     `[]`,
		`null`:                                   `[]`,
		`{"note":1}`:                             `[]`,
		`{"HWID":null,"DISK":""}`:                `[]`,
		`{"HWID":"a","DISK":"d","note":"x"}`:     `[{"Number":1,"Machine":{"DISK":"d","HWID":"a"}}]`,
		`{"HWID":"a","HWID_2":"b","DISK_2":"e"}`: `[{"Number":1,"Machine":{"HWID":"a"}},{"Number":2,"Machine":{"DISK":"e","HWID":"b"}}]`,
		`{"HWID_3":"c"}`:                         `[{"Number":3,"Machine":{"HWID":"c"}}]`,
		`{"a_1":"x","a_02":"x","a_26":"x","_2":"x","a_x":"x"}`: `[{"Number":1,"Machine":{"_2":"x","a_02":"x","a_1":"x","a_26":"x","a_x":"x"}}]`,
	} {
		got, err := jsonOf(r.Places(parseMetadata(t, stored)))
		require.NoError(t, err)
		assert.Equal(t, want, got, stored)
	}
}

// What is written frees the place whether Whop merges it with what is stored or
// replaces that.
func TestFreed(t *testing.T) {
	r := Rules{MaxMachines: 2, SellerNames: map[string]bool{"note": true}}
	for _, c := range []struct {
		stored  string
		place   int
		nothing Value
		whole   string
	}{
		{`{"HWID":"a","HWID_2":"b"}`, 1, Null, `{"HWID":null,"HWID_2":"b"}`},
		{`{"HWID":"a","HWID_2":"b"}`, 2, EmptyText, `{"HWID":"a","HWID_2":""}`},
		{`{"HWID":"a","HWID_2":"b"}`, AllPlaces, Null, `{}`},
		{`{"HWID":"a","HWID_2":"b"}`, AllPlaces, EmptyText, `{"HWID":"","HWID_2":""}`},
		{`{"HWID":"a","note":true}`, AllPlaces, Null, `{"HWID":null,"note":true}`},
		{`{"HWID":"a","X":null,"DISK":"d"}`, 1, Null, `{}`},
		{`{"HWID":"a","HWID_2":"b"}`, 3, Null, `{"HWID":"a","HWID_2":"b"}`},
	} {
		whole := r.Freed(parseMetadata(t, c.stored), c.place, c.nothing)
		assert.Equal(t, c.whole, string(whole.Canonical()), c)
	}
}

// Another returns a machine that differs from those stored, under their names.
func TestAnother(t *testing.T) {
	r := Rules{MaxMachines: 2}
	for stored, want := range map[string]Match{`{}`: Free, `{"HWID":"a"}`: Free, `{"X":"a","Y":"b"}`: Free, `{"X":"a","X_2":"b"}`: Differs, `{"HWID":"a","HWID_3":"c"}`: Differs} {
		m := parseMetadata(t, stored)
		got, whole := r.Compare(m, r.Another(m, "new"))
		assert.Equal(t, want, got, stored)
		if got == Free {
			assert.Positive(t, r.PlaceOf(whole, r.Another(m, "new")))
		}
	}
	assert.Equal(t, 2, r.PlaceOf(parseMetadata(t, `{"HWID":"a","HWID_2":"b"}`), parseMetadata(t, `{"HWID":"b"}`)))
	assert.Zero(t, r.PlaceOf(parseMetadata(t, `{"HWID":"a"}`), parseMetadata(t, `{"HWID":"b"}`)))
	assert.Zero(t, r.PlaceOf(parseMetadata(t, `{"HWID":"a"}`), Metadata{}), "no machine was named")
}

func jsonOf(places []Place) (string, error) {
	b, err := json.Marshal(places, json.Deterministic(true))
	return string(b), err
}
