package binding

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseMetadata(t testing.TB, text string) (m Metadata) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &m))
	return m
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name         string
		max          int
		stored, sent string
		want         Match
		whole        string
	}{
		{"nothing stored, nothing sent", 1, `{}`, `{}`, Matches, ``},
		{"nothing sent", 1, `{"HWID":"a"}`, `{}`, Matches, ``},
		{"null stored", 1, `null`, `{"HWID":"a"}`, Free, `{"HWID":"a"}`},
		{"first use", 1, `{}`, `{"HWID":"a","DISK":"b"}`, Free, `{"DISK":"b","HWID":"a"}`},
		{"the same", 1, `{"HWID":"a"}`, `{"HWID":"a"}`, Matches, ``},
		{"a part of it", 1, `{"HWID":"a","DISK":"b"}`, `{"DISK":"b"}`, Matches, ``},
		{"another value", 1, `{"HWID":"a"}`, `{"HWID":"b"}`, Differs, ``},
		{"one value differs", 1, `{"HWID":"a","DISK":"b"}`, `{"HWID":"a","DISK":"c"}`, Differs, ``},
		{"another name", 1, `{"HWID":"a"}`, `{"hwid":"a"}`, Differs, ``},
		{"one name more", 1, `{"HWID":"a"}`, `{"HWID":"a","DISK":"b"}`, Differs, ``},
		{"case of a value", 1, `{"HWID":"a"}`, `{"HWID":"A"}`, Differs, ``},
		{"a number is no string", 1, `{"HWID":1}`, `{"HWID":"1"}`, Differs, ``},
		{"the same number", 1, `{"HWID":12345678901234567890}`, `{"HWID":12345678901234567890}`, Matches, ``},
		{"large numbers are not rounded", 1, `{"HWID":12345678901234567890}`, `{"HWID":12345678901234567891}`, Differs, ``},
		{"escapes don't matter", 1, `{"HWID":"\u0061"}`, `{"HWID":"a"}`, Matches, ``},
		{"the seller's own alone", 1, `{"note":{"x":[1]}}`, `{"HWID":"a"}`, Free, `{"HWID":"a","note":{"x":[1]}}`},
		{"the seller's own beside it", 1, `{"note":"x","HWID":"a"}`, `{"HWID":"a"}`, Matches, ``},
		{"something foreign", 1, `{"other":"x"}`, `{"HWID":"a"}`, Differs, ``},
		{"a second machine", 2, `{"HWID":"a"}`, `{"HWID":"b"}`, Free, `{"HWID":"a","HWID_2":"b"}`},
		{"the second machine", 2, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"b"}`, Matches, ``},
		{"a third machine", 2, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"c"}`, Differs, ``},
		{"the first place is free", 2, `{"HWID_2":"b"}`, `{"HWID":"c"}`, Free, `{"HWID":"c","HWID_2":"b"}`},
		{"fewer machines than before", 1, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"b"}`, Differs, ``},
		{"fewer machines, the first", 1, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"a"}`, Matches, ``},
		{"values of two machines", 2, `{"HWID":"a","DISK":"b","HWID_2":"c","DISK_2":"d"}`, `{"HWID":"a","DISK":"d"}`, Differs, ``},
		{"null is an empty place", 1, `{"HWID":null}`, `{"HWID":"a"}`, Free, `{"HWID":"a"}`},
		{"no text is an empty place", 1, `{"HWID":"","note":"x"}`, `{"HWID":"a"}`, Free, `{"HWID":"a","note":"x"}`},
		{"the first place is emptied", 2, `{"HWID":null,"HWID_2":"b"}`, `{"HWID":"c"}`, Free, `{"HWID":"c","HWID_2":"b"}`},
		{"another app's place is empty", 1, `{"machine_id":null,"other":""}`, `{"HWID":"a"}`, Free, `{"HWID":"a","other":""}`},
		{"the text null is none", 1, `{"HWID":"null"}`, `{"HWID":"a"}`, Differs, ``},
		{"false is none", 1, `{"HWID":false}`, `{"HWID":"a"}`, Differs, ``},
		{"nothing is stored for a part", 1, `{"HWID":"a","DISK":null}`, `{"HWID":"a","DISK":"b"}`, Differs, ``},
		{"another name with room", 3, `{"HWID":"a"}`, `{"X":"y"}`, Differs, ``},
		{"a place's name with room", 3, `{"HWID":"a"}`, `{"HWID_2":"y"}`, Differs, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Rules{MaxMachines: c.max, SellerNames: map[string]bool{"note": true}}
			got, whole := r.Compare(parseMetadata(t, c.stored), parseMetadata(t, c.sent))
			assert.Equal(t, c.want, got)
			if c.whole == "" {
				assert.Nil(t, whole)
			} else {
				assert.Equal(t, c.whole, string(whole.Canonical()))
			}
		})
	}
}

// A license's metadata has room for 50 values, however many machines are allowed.
func TestNoMoreIsStoredThanWhopTakes(t *testing.T) {
	r := Rules{MaxMachines: 25}
	stored := Metadata{}
	for n := range 16 {
		m, whole := r.Compare(stored, parseMetadata(t, fmt.Sprintf(`{"A":"%d","B":"b","C":"c"}`, n)))
		require.Equal(t, Free, m)
		stored = whole
	}
	require.Len(t, stored, 48)
	m, _ := r.Compare(stored, parseMetadata(t, `{"A":"x","B":"b","C":"c"}`))
	assert.Equal(t, Differs, m)
}

// An attacker who chooses names and values freely gets no more machines in than
// the seller allows.
func TestNoChoiceOfNamesAddsAMachine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "B", "A_2", "A_3", "B_2", "C"}
	for range 20_000 {
		r := Rules{MaxMachines: 1 + random.IntN(3)}
		stored, bound := Metadata{}, 0
		for n := range 12 {
			sent := Metadata{}
			for range 1 + random.IntN(3) {
				sent[names[random.IntN(len(names))]] = Value{Text: fmt.Sprint(n), IsString: true}
			}
			if r.Check(sent) != nil {
				continue
			}
			if m, whole := r.Compare(stored, sent); m == Free {
				bound++
				stored = whole
				again, _ := r.Compare(stored, sent)
				require.Equal(t, Matches, again)
			}
		}
		require.LessOrEqual(t, bound, r.MaxMachines, "%v", stored)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"HWID":"a"}`, `{"HWID":"b"}`, 2)
	f.Add(`{"HWID":1e400,"x":[{"y":null}]}`, `{"HWID":true}`, 1)
	f.Fuzz(func(t *testing.T, storedText, sentText string, max int) {
		var stored, sent Metadata
		if json.Unmarshal([]byte(storedText), &stored) != nil || json.Unmarshal([]byte(sentText), &sent) != nil {
			return
		}
		r := Rules{MaxMachines: 1 + (max&0x7fffffff)%25}
		if r.Check(sent) != nil {
			return
		}
		m, whole := r.Compare(stored, sent)
		if m != Free {
			return
		}
		var back Metadata
		require.NoError(t, json.Unmarshal(whole.Canonical(), &back))
		require.Equal(t, whole, back)
		for name, v := range stored {
			if !v.empty() {
				require.Equal(t, v, whole[name], "what was stored is kept")
			}
		}
		require.False(t, r.NamesDiffer(stored, sent) && r.NamesDiffer(back, sent))
		require.Empty(t, r.Alterations(back, whole, sent), "it is stored as it was written")
		again, _ := r.Compare(back, sent)
		require.Equal(t, Matches, again)
	})
}

// A name is the seller's own even if it looks like a name of another machine's
// place.
func TestSellersNamesMayNotBeSent(t *testing.T) {
	r := Rules{MaxMachines: 3, SellerNames: map[string]bool{"note": true, "address_2": true}}
	for sent, good := range map[string]bool{`{"HWID":"a"}`: true, `{"note_2":"a"}`: true, `{"note":"a"}`: false, `{"address":"a"}`: false, `{"address_2":"a"}`: false} {
		assert.Equal(t, good, r.Check(parseMetadata(t, sent)) == nil, sent)
	}
	one := Rules{MaxMachines: 1, SellerNames: r.SellerNames}
	assert.NoError(t, one.Check(parseMetadata(t, `{"address":"a"}`)), "there is no such place")
}
