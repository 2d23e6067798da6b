package license

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/testdata"
)

func FuzzReadResponse(f *testing.F) {
	require.NoError(f, testdata.Each("response", func(_ string, v responseVector) {
		if r := v.response(f); len(r.Body) < 4096 {
			f.Add(r.Status, r.RetryAfter, r.Body)
		}
	}))
	trust := Query{LicenseKey: testKey, Trust: &Trust{Keys: []lease.PublicKey{newSigner(f, 1).public}}, Nonce: testNonce}
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		proven, err := ReadResponse(trust, &Response{Status: status, RetryAfter: retryAfter, Body: body}, testNow)
		require.Nil(t, proven, "nobody has the key")
		require.Error(t, err)
		verdict, err := ReadResponse(testQuery, &Response{Status: status, RetryAfter: retryAfter, Body: body}, testNow)
		if err != nil {
			require.Nil(t, verdict)
			var e *Error
			require.ErrorAs(t, err, &e)
			assert.NotEmpty(t, e.Message)
			assert.NotContains(t, e.Message, testKey)
			return
		}
		out := verdict.AppendJSON(nil)
		require.True(t, json.Valid(out), "%s", out)
		if verdict.Code == Valid {
			// A second reader must take it for valid too.
			require.Contains(t, []int{200, 201}, status)
			var exact map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(body, &exact))
			require.Equal(t, "true", string(exact["valid"]))
		} else if status >= 400 {
			var coded struct{ Error struct{ Code string } }
			require.NoError(t, json.Unmarshal(body, &coded))
			require.Equal(t, map[string]VerdictCode{"metadata_mismatch": MetadataMismatch, "license_inactive": Inactive, "not_found": NotFound}[coded.Error.Code], verdict.Code)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	require.NoError(f, testdata.Each("request", func(_ string, v requestVector) {
		f.Add(v.Query.LicenseKey)
	}))
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := NewRequest(Query{Endpoint: "https://a.example/base", LicenseKey: raw})
		if err != nil {
			return
		}
		// A URL parser must find the key as one segment, and nothing else moved.
		u, err := url.Parse(r.URL)
		require.NoError(t, err)
		key, _ := ParseKey(raw)
		again, err := ParseKey(key)
		require.NoError(t, err)
		assert.Equal(t, key, again, "cleaned once is clean")
		assert.Equal(t, "a.example", u.Host)
		assert.Equal(t, "/base/api/v2/memberships/"+key+"/validate_license", u.Path)
		assert.Equal(t, u.Path, u.JoinPath().Path)
		assert.Empty(t, u.RawQuery+u.Fragment)
		assert.Less(t, len(ShortenKey(key)), len(key)+len("…"))
	})
}

func FuzzParseEndpoint(f *testing.F) {
	require.NoError(f, testdata.Each("request", func(_ string, v requestVector) {
		f.Add(v.Query.Endpoint)
	}))
	f.Fuzz(func(t *testing.T, raw string) {
		endpoint, err := ParseEndpoint(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		assert.Nil(t, u.User)
		assert.Empty(t, u.RawQuery+u.Fragment)
		assert.False(t, strings.HasSuffix(endpoint, "/"))
		switch u.Scheme {
		case "https":
		case "http":
			if u.Hostname() != "localhost" {
				address, err := netip.ParseAddr(u.Hostname())
				require.NoError(t, err)
				assert.True(t, address.IsLoopback(), endpoint)
			}
		default:
			t.Errorf("%q was taken", raw)
		}
		again, err := ParseEndpoint(endpoint)
		require.NoError(t, err)
		assert.Equal(t, endpoint, again)
	})
}
