package binding

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesThatDiffer(t *testing.T) {
	for _, c := range []struct {
		max          int
		stored, sent string
		want         bool
	}{
		{1, `{"machine_id":"a"}`, `{"HWID":"a"}`, true},
		{1, `{"hwid":"a"}`, `{"HWID":"a"}`, true},
		{1, `{"vip":true}`, `{"HWID":"a"}`, true},
		{1, `{"vip":true,"HWID":"a"}`, `{"HWID":"b"}`, false},
		{1, `{"HWID":"a"}`, `{"HWID":"b"}`, false},
		{1, `{"HWID":"a"}`, `{"HWID":"a","DISK":"b"}`, true},
		{1, `{"HWID":"a"}`, `{"HWID":"c","DISK":"b"}`, false},
		{2, `{"vip":true,"HWID":"a"}`, `{"HWID":"b"}`, true},
		{2, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"c"}`, false},
		{1, `{"HWID":"a","HWID_2":"b"}`, `{"HWID":"c"}`, false},
	} {
		r := Rules{MaxMachines: c.max}
		stored, sent := parseMetadata(t, c.stored), parseMetadata(t, c.sent)
		m, _ := r.Compare(stored, sent)
		require.Equal(t, Differs, m, c)
		assert.Equal(t, c.want, r.NamesDiffer(stored, sent), c)
	}
}
