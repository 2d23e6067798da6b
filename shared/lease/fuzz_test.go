package lease_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// No token verifies but those that the key's holder made, byte for byte.
func FuzzToken(f *testing.F) {
	forged := []lease.Reason{
		lease.ReasonMalformed, lease.ReasonHeader, lease.ReasonAlgorithm, lease.ReasonType, lease.ReasonKeyID, lease.ReasonSignature,
	}
	made := map[string]bool{}
	eachVector(f, func(_ string, v vector) {
		if v.Token != "" {
			f.Add(v.Token)
			made[v.Token] = made[v.Token] || !slices.Contains(forged, v.Want.Reason)
		}
	})
	keys := append(signer1.keys(f), signer2.keys(f)...)
	f.Fuzz(func(t *testing.T, token string) {
		_, err := lease.Verify(token, keys, expect(), claims().Nonce)
		require.True(t, err != nil || made[token], "a forged lease verified: %q", token)
		_, err = lease.StandIn(token, keys, expect(), lease.Clock{Now: nowMs})
		require.True(t, err != nil || made[token], "a forged lease stood in: %q", token)
		_, err = lease.VerifyRefusal(token, keys, expect(), claims().Nonce, refusalClaims().Code)
		require.True(t, err != nil || made[token], "a forged refusal counted: %q", token)
	})
}

// Whatever a key's holder signs, what is read from it is what encoding/json
// reads, and is a lease again when it is written anew.
func FuzzClaims(f *testing.F) {
	eachVector(f, func(_ string, v vector) {
		if part := strings.Split(v.Token, "."); len(part) == 3 {
			header, _ := base64.RawURLEncoding.DecodeString(part[0])
			body, _ := base64.RawURLEncoding.DecodeString(part[1])
			f.Add(string(header), string(body))
		}
	})
	keys := signer1.keys(f)
	f.Fuzz(func(t *testing.T, header, body string) {
		got, err := lease.Verify(signer1.sign(header, body), keys, expect(), claims().Nonce)
		if err != nil {
			return
		}
		var h map[string]any
		require.NoError(t, json.Unmarshal([]byte(header), &h))
		require.Equal(t, map[string]any{"alg": "EdDSA", "typ": lease.Type, "kid": signer1.kid()}, h)

		var c map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(body), &c))
		for name, value := range map[string]any{
			"iss": got.Issuer, "sub": got.Subject, "nonce": got.Nonce, "lic": got.LicenseKeyHash, "hwm": got.MetadataHash,
			"iat": got.IssuedAt, "nbf": got.NotBefore, "exp": got.ExpiresAt, "grace": got.Grace,
		} {
			want, err := json.Marshal(value)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(c[name]), name)
		}
		again, err := got.Payload()
		if err == nil { // Longer than it came where it escapes what need not be.
			once, err := lease.Verify(signer1.sign(signer1.header(), string(again)), keys, expect(), claims().Nonce)
			require.NoError(t, err)
			require.Equal(t, got, once)
		}
	})
}

// The same of the proof of a refusal, which is never a lease as well.
func FuzzRefusal(f *testing.F) {
	eachVector(f, func(_ string, v vector) {
		if part := strings.Split(v.Token, "."); len(part) == 3 {
			header, _ := base64.RawURLEncoding.DecodeString(part[0])
			body, _ := base64.RawURLEncoding.DecodeString(part[1])
			f.Add(string(header), string(body), v.Code)
		}
	})
	keys := signer1.keys(f)
	f.Fuzz(func(t *testing.T, header, body, code string) {
		token := signer1.sign(header, body)
		got, err := lease.VerifyRefusal(token, keys, expect(), claims().Nonce, code)
		if err != nil {
			return
		}
		_, err = lease.Verify(token, keys, expect(), claims().Nonce)
		require.Equal(t, lease.ReasonType, reason(t, err))
		var h, c map[string]any
		require.NoError(t, json.Unmarshal([]byte(header), &h))
		require.Equal(t, map[string]any{"alg": "EdDSA", "typ": lease.RefusalType, "kid": signer1.kid()}, h)
		require.NoError(t, json.Unmarshal([]byte(body), &c))
		for name, value := range map[string]any{
			"iss": got.Issuer, "nonce": got.Nonce, "lic": got.LicenseKeyHash, "hwm": got.MetadataHash, "iat": float64(got.IssuedAt), "code": code,
		} {
			require.Equal(t, value, c[name], name)
		}
	})
}

// The offline decision, against its rule written out in another way.
func FuzzStandIn(f *testing.F) {
	f.Add(issuedAt, int64(0), day, 7*day, int64(2000), int64(0), int64(2000))
	f.Add(issuedAt, int64(0), day, 7*day, -9*hour*1000, 9*hour*1000, int64(2000))
	f.Add(issuedAt, -hour, day, 7*day, 8*day*1000, int64(0), int64(0))
	f.Add(issuedAt, hour, day, 7*day, int64(-300_000), int64(0), int64(1))
	f.Add(int64(253402300798), int64(0), int64(1), int64(lease.MaxGrace), int64(-1<<63), int64(1), int64(1<<63-1))
	keys := signer1.keys(f)
	// Times are given from iat, in seconds and in milliseconds, to meet often.
	f.Fuzz(func(t *testing.T, iat, nbf, exp, grace, now, skew, seen int64) {
		c := claims()
		c.IssuedAt, c.NotBefore, c.ExpiresAt, c.Grace = iat, iat+nbf, iat+exp, grace
		nbf, exp, now, seen = iat+nbf, iat+exp, iat*1000+now, iat*1000+seen
		body, err := c.Payload()
		if err != nil {
			return
		}
		_, err = lease.StandIn(signer1.sign(signer1.header(), string(body)), keys, expect(), lease.Clock{Now: lease.Milliseconds(now), Skew: lease.Milliseconds(skew), LastSeen: lease.Milliseconds(seen)})
		const far = 1_000_000_000_000_000 // beyond the longest lease, and where sums stay exact
		if now < -far || now > far || skew < -far || skew > far || seen > far {
			return
		}
		now += skew
		until := (exp + grace) * 1000
		clockHolds := now+300_000 >= iat*1000 && (seen <= 0 || now+300_000 >= seen)
		alive := nbf <= iat && iat < exp && now <= until && seen <= until
		require.Equal(t, clockHolds && alive, err == nil, "%v", err)
	})
}

func FuzzParsePublicKey(f *testing.F) {
	eachVector(f, func(_ string, v vector) {
		if v.Call == "parsePublicKey" {
			f.Add(v.PublicKey)
		}
	})
	f.Fuzz(func(t *testing.T, text string) {
		key, err := lease.ParsePublicKey(text)
		if err != nil {
			require.Equal(t, lease.ReasonPublicKey, reason(t, err))
			return
		}
		require.Len(t, text, 43)
		require.Equal(t, lease.KeyID([32]byte(unb64(text))), key.ID())
		require.Equal(t, text, b64(unb64(text)))
	})
}

// The canonical form is what another implementation of RFC 8785 makes of it.
func FuzzCanonicalMetadata(f *testing.F) {
	f.Add("HWID", "m1", "HWID_2", "m2")
	f.Add("\uFFFF", "\u2028</script>", "\U00010000", "\x00\x1f\x7f\"\\/")
	f.Add("a", "", "", "a")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		for _, text := range []string{name1, value1, name2, value2} {
			if !utf8.ValidString(text) {
				lease.CanonicalMetadata(map[string]string{name1: value1, name2: value2})
				return
			}
		}
		metadata := map[string]string{name1: value1, name2: value2}
		made := lease.CanonicalMetadata(metadata)
		var read map[string]string
		require.NoError(t, json.Unmarshal(made, &read))
		assert.Equal(t, metadata, read)
		want, err := json.Marshal(metadata)
		require.NoError(t, err)
		require.NoError(t, (*jsontext.Value)(&want).Canonicalize())
		assert.Equal(t, string(want), string(made))
	})
}
