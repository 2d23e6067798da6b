package machine_test

import (
	"encoding/json"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
	"github.com/whop-license/whop-license/shared/testdata"
)

// A vector is one file of testdata/machine; the README there describes it.
type vector struct {
	name        string
	Description string
	OS          string
	Scheme      string
	AppID       string
	DBus        reading
	Etc         reading
	IOReg       reading
	MachineGUID reading
	HostName    reading
	Want        struct {
		ID       string
		Raw      string
		Source   machine.Source
		Warnings []string
		Error    *struct {
			Code  machine.Code
			Tried []string
		}
	}
}

type reading struct {
	Text   string
	Base64 []byte
	Error  string
}

func (r reading) captured() machine.Reading {
	if r.Base64 != nil {
		return machine.Reading{Bytes: r.Base64, Err: r.Error}
	}
	return machine.Reading{Bytes: []byte(r.Text), Err: r.Error}
}

func (v *vector) captured() machine.Captured {
	return machine.Captured{
		OS:          v.OS,
		DBus:        v.DBus.captured(),
		Etc:         v.Etc.captured(),
		IOReg:       v.IOReg.captured(),
		MachineGUID: v.MachineGUID.captured(),
		HostName:    v.HostName.captured(),
	}
}

func vectors(t testing.TB) []vector {
	t.Helper()
	names, err := fs.Glob(testdata.Files, "machine/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	all := make([]vector, len(names))
	for i, name := range names {
		data, err := testdata.Files.ReadFile(name)
		require.NoError(t, err)
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&all[i]), name)
		all[i].name = strings.TrimSuffix(path.Base(name), ".json")
	}
	return all
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			c := v.captured()
			id, err := c.ID(machine.Scheme(v.Scheme), v.AppID)
			if want := v.Want.Error; want != nil {
				var e *machine.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, want.Code, e.Code)
				assert.Equal(t, want.Tried, e.Tried)
				for _, tried := range want.Tried {
					assert.Contains(t, e.Error(), tried)
				}
				assert.Zero(t, id)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, v.Want.ID, id.ID)
			assert.Equal(t, machine.Scheme(v.Scheme), id.Scheme)
			assert.Equal(t, v.Want.Source, id.Source)
			require.Len(t, id.Warnings, len(v.Want.Warnings), "%q", id.Warnings)
			require.NotNil(t, id.Warnings)
			for i, part := range v.Want.Warnings {
				assert.Contains(t, id.Warnings[i], part)
			}

			raw, err := c.Raw(machine.Scheme(v.Scheme))
			require.NoError(t, err)
			assert.Equal(t, v.Want.Raw, raw.Value)
			assert.Equal(t, v.Want.Source, raw.Source)
		})
	}
}
