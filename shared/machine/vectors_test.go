package machine_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
	"github.com/whop-license/whop-license/shared/testdata"
)

// A vector is one file of shared/testdata/machine, which the README of shared/testdata describes.
type vector struct {
	name        string
	About       string
	Captured    string
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
	var all []vector
	require.NoError(t, testdata.Each("machine", func(name string, v vector) {
		v.name = name
		all = append(all, v)
	}))
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
			assert.NotEmpty(t, v.Captured, "an id must come from other software")
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
