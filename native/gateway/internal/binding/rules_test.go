package main

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parseMetadata(t testing.TB, text string) (m metadata) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &m))
	return m
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name         string
		max          int
		stored, sent string
		want         match
		whole        string
	}{
		{"nothing stored, nothing sent", 1, `{}`, `{}`, matches, ``},
		{"nothing sent", 1, `{"HWID":"a"}`, `{}`, matches, ``},
		{"null stored", 1, `null`, `{"HWID":"a"}`, free, `{"HWID":"a"}`},
		{"first use", 1, `{}`, `{"HWID":"a","DISK":"b"}`, free, `{"DISK":"b","HWID":"a"}`},
		{"the same", 1, `{"HWID":"a"}`, `{"HWID":"a"}`, matches, ``},
		{"a part of it", 1, `{"HWID":"a","DISK":"b"}`, `{"DISK":"b"}`, matches, ``},
		{"another value", 1, `{"HWID":"a"}`, `{"HWID":"b"}`, differs, ``},
		{"one value differs", 1, `{"HWID":"a","DISK":"b"}`, `{"HWID":"a","DISK":"c"}`, differs, ``},
		{"another name", 1, `{"HWID":"a"}`, `{"hwid":"a"}`, differs, ``},
		{"one name more", 1, `{"HWID":"a"}`, `{"HWID":"a","DISK":"b"}`, differs, ``},
		{"case of a value", 1, `{"HWID":"a"}`, `{"HWID":"A"}`, differs, ``},
		{"a number is no string", 1, `{"HWID":1}`, `{"HWID":"1"}`, differs, ``},
		{"the same number", 1, `{"HWID":12345678901234567890}`, `{"HWID":12345678901234567890}`, matches, ``},
		{"large numbers are not rounded", 1, `{"HWID":12345678901234567890}`, `{"HWID":12345678901234567891}`, differs, ``},
		{"escapes don't matter", 1, `{"HWID":"\u0061"}`, `{"HWID":"a"}`, matches, ``},
		{"the seller's own alone", 1, `{"note":{"x":[1]}}`, `{"HWID":"a"}`, free, `{"HWID":"a","note":{"x":[1]}}`},
		{"the seller's own beside it", 1, `{"note":"x","HWID":"a"}`, `{"HWID":"a"}`, matches, ``},
		{"something foreign", 1, `{"other":"x"}`, `{"HWID":"a"}`, differs, ``},
		{"a second machine", 2, `{"HWID":"a"}`, `{"HWID":"b"}`, free, `{"HWID":"a","HWID_2":"b"}`},
		{"the second machine", 2, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"b"}`, matches, ``},
		{"a third machine", 2, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"c"}`, differs, ``},
		{"the first place is free", 2, `{"HWID_2":"b"}`, `{"HWID":"c"}`, free, `{"HWID":"c","HWID_2":"b"}`},
		{"fewer machines than before", 1, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"b"}`, differs, ``},
		{"fewer machines, the first", 1, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"a"}`, matches, ``},
		{"values of two machines", 2, `{"HWID":"a","DISK":"b","HWID_2":"c","DISK_2":"d"}`, `{"HWID":"a","DISK":"d"}`, differs, ``},
		{"null is an empty place", 1, `{"HWID":null}`, `{"HWID":"a"}`, free, `{"HWID":"a"}`},
		{"no text is an empty place", 1, `{"HWID":"","note":"x"}`, `{"HWID":"a"}`, free, `{"HWID":"a","note":"x"}`},
		{"the first place is emptied", 2, `{"HWID":null,"HWID_2":"b"}`, `{"HWID":"c"}`, free, `{"HWID":"c","HWID_2":"b"}`},
		{"another app's place is empty", 1, `{"machine_id":null,"other":""}`, `{"HWID":"a"}`, free, `{"HWID":"a","other":""}`},
		{"the text null is none", 1, `{"HWID":"null"}`, `{"HWID":"a"}`, differs, ``},
		{"false is none", 1, `{"HWID":false}`, `{"HWID":"a"}`, differs, ``},
		{"nothing is stored for a part", 1, `{"HWID":"a","DISK":null}`, `{"HWID":"a","DISK":"b"}`, differs, ``},
		{"another name with room", 3, `{"HWID":"a"}`, `{"X":"y"}`, differs, ``},
		{"a place's name with room", 3, `{"HWID":"a"}`, `{"HWID_2":"y"}`, differs, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := bindingRules{maxMachines: c.max, sellerNames: map[string]bool{"note": true}}
			got, whole := r.compare(parseMetadata(t, c.stored), parseMetadata(t, c.sent))
			assert.Equal(t, c.want, got)
			if c.whole == "" {
				assert.Nil(t, whole)
			} else {
				assert.Equal(t, c.whole, string(whole.canonical()))
			}
		})
	}
}

// A license's metadata has room for 50 values, however many machines are allowed.
func TestNoMoreIsStoredThanWhopTakes(t *testing.T) {
	r := bindingRules{maxMachines: 25}
	stored := metadata{}
	for n := range 16 {
		m, whole := r.compare(stored, parseMetadata(t, fmt.Sprintf(`{"A":"%d","B":"b","C":"c"}`, n)))
		require.Equal(t, free, m)
		stored = whole
	}
	require.Len(t, stored, 48)
	m, _ := r.compare(stored, parseMetadata(t, `{"A":"x","B":"b","C":"c"}`))
	assert.Equal(t, differs, m)
}

// Whoever chooses names and values at will gets no more machines in than the
// seller allows.
func TestNoChoiceOfNamesAddsAMachine(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"A", "B", "A_2", "A_3", "B_2", "C"}
	for range 20_000 {
		r := bindingRules{maxMachines: 1 + random.IntN(3)}
		stored, bound := metadata{}, 0
		for n := range 12 {
			sent := metadata{}
			for range 1 + random.IntN(3) {
				sent[names[random.IntN(len(names))]] = value{text: fmt.Sprint(n), string: true}
			}
			if r.check(sent) != nil {
				continue
			}
			if m, whole := r.compare(stored, sent); m == free {
				bound++
				stored = whole
				again, _ := r.compare(stored, sent)
				require.Equal(t, matches, again)
			}
		}
		require.LessOrEqual(t, bound, r.maxMachines, "%v", stored)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add(`{"HWID":"a"}`, `{"HWID":"b"}`, 2)
	f.Add(`{"HWID":1e400,"x":[{"y":null}]}`, `{"HWID":true}`, 1)
	f.Fuzz(func(t *testing.T, storedText, sentText string, max int) {
		var stored, sent metadata
		if json.Unmarshal([]byte(storedText), &stored) != nil || json.Unmarshal([]byte(sentText), &sent) != nil {
			return
		}
		r := bindingRules{maxMachines: 1 + (max&0x7fffffff)%25}
		if r.check(sent) != nil {
			return
		}
		m, whole := r.compare(stored, sent)
		if m != free {
			return
		}
		var back metadata
		require.NoError(t, json.Unmarshal(whole.canonical(), &back))
		require.Equal(t, whole, back)
		for name, v := range stored {
			if !v.empty() {
				require.Equal(t, v, whole[name], "what was stored is kept")
			}
		}
		require.False(t, r.namesDiffer(stored, sent) && r.namesDiffer(back, sent))
		require.Empty(t, r.alterations(back, whole, sent), "it is stored as it was written")
		again, _ := r.compare(back, sent)
		require.Equal(t, matches, again)
	})
}

// A name is the seller's own also where it is another machine's place.
func TestSellersNamesMayNotBeSent(t *testing.T) {
	r := bindingRules{maxMachines: 3, sellerNames: map[string]bool{"note": true, "address_2": true}}
	for sent, good := range map[string]bool{`{"HWID":"a"}`: true, `{"note_2":"a"}`: true, `{"note":"a"}`: false, `{"address":"a"}`: false, `{"address_2":"a"}`: false} {
		assert.Equal(t, good, r.check(parseMetadata(t, sent)) == nil, sent)
	}
	one := bindingRules{maxMachines: 1, sellerNames: r.sellerNames}
	assert.NoError(t, one.check(parseMetadata(t, `{"address":"a"}`)), "there is no such place")
}
