package license

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/testdata"
)

const (
	testKey = "A1B2C3-D4E5F6-G7H8I9"
	testNow = Milliseconds(1_795_392_000_123) // 2026-11-23T00:00:00.123Z
)

type wantError struct {
	Code         ErrorCode
	Argument     string
	Retryable    bool
	Status       int
	RetryAfterMs *Milliseconds
}

type responseVector struct {
	About    string
	Query    struct{ LicenseKey, APIKey string }
	Response struct {
		Status     int
		Headers    map[string]string
		Body       string
		BodyBase64 []byte
		BodyRepeat *struct {
			Before, Text, After string
			Times               int
		}
	}
	Want struct {
		Verdict json.RawMessage
		Error   *wantError
		// Trusted is the code of the error with a public key, where there is a
		// verdict without one: none of these answers is proven.
		Trusted ErrorCode
	}
}

func (v *responseVector) query() Query {
	q := Query{Endpoint: testQuery.Endpoint, LicenseKey: testKey, MachineID: testQuery.MachineID, APIKey: v.Query.APIKey}
	if v.Query.LicenseKey != "" {
		q.LicenseKey = v.Query.LicenseKey
	}
	return q
}

func (v *responseVector) response(t testing.TB) *Response {
	t.Helper()
	r := &Response{Status: v.Response.Status, RetryAfter: v.Response.Headers["Retry-After"]}
	switch {
	case v.Response.BodyRepeat != nil:
		b := v.Response.BodyRepeat
		r.Body = []byte(b.Before + strings.Repeat(b.Text, b.Times) + b.After)
	case v.Response.BodyBase64 != nil:
		r.Body = v.Response.BodyBase64
	default:
		r.Body = []byte(v.Response.Body)
	}
	r.Body = r.Body[:min(len(r.Body), MaxBody+1)]
	return r
}

func TestReadResponseVectors(t *testing.T) {
	require.NoError(t, testdata.Each("response", func(name string, v responseVector) {
		t.Run(name, func(t *testing.T) {
			verdict, err := ReadResponse(v.query(), v.response(t), testNow)
			if want := v.Want.Error; want != nil {
				require.Nil(t, verdict)
				assertError(t, want, err)
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, v.Want.Verdict)
			var got map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(verdict.AppendJSON(nil), &got))
			assert.Equal(t, `"2026-11-23T00:00:00.123Z"`, string(got["checkedAt"]))
			delete(got, "checkedAt")
			rest, err := json.Marshal(got)
			require.NoError(t, err)
			assert.JSONEq(t, string(v.Want.Verdict), string(rest))
		})
	}))
}

// With a public key none of the answers counts, and a lease that was kept stands
// in for all but the caller's own fault.
func TestResponseVectorsWithTrust(t *testing.T) {
	signer := newSigner(t, 1)
	require.NoError(t, testdata.Each("response", func(name string, v responseVector) {
		t.Run(name, func(t *testing.T) {
			want := v.Want.Error
			if want == nil {
				require.NotEmpty(t, v.Want.Trusted)
				want = &wantError{Code: v.Want.Trusted, Retryable: true, Status: v.Response.Status}
			}
			q := v.query()
			q.Trust, q.Nonce = trusting(signer).Trust, testNonce
			send := func() (*Verdict, error) {
				response := v.response(t)
				client := Client{Transport: &script{steps: []step{func(Context) (*Response, error) { return response, nil }}}, Clock: newFakeClock()}
				return client.Validate(t.Context(), q, RetryPolicy{Attempts: 1})
			}
			_, err := send()
			assertError(t, want, err)

			q.Stored.Lease = signer.sign(t, testClaims())
			verdict, err := send()
			if want.Code == InvalidArgument {
				assertError(t, want, err)
				return
			}
			require.NoError(t, err)
			assert.True(t, verdict.FromLease)
			assertError(t, want, verdict.Failure)
			var got struct {
				Error struct {
					Code, Message string
					Status        int
				}
			}
			require.NoError(t, json.Unmarshal(verdict.AppendJSON(nil), &got))
			assert.Equal(t, string(want.Code), got.Error.Code)
			assert.Equal(t, want.Status, got.Error.Status)
			assert.Equal(t, verdict.Failure.Message, got.Error.Message)
		})
	}))
}

func assertError(t *testing.T, want *wantError, err error) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, want.Code, e.Code)
	assert.Equal(t, want.Retryable, e.Retryable())
	assert.Equal(t, want.Status, e.Status)
	assert.NotEmpty(t, e.Message)
	assert.Equal(t, want.Argument, e.Argument)
	if want.Argument != "" {
		assert.True(t, strings.HasPrefix(e.Message, want.Argument+": "), "%q does not name %s", e.Message, want.Argument)
	}
	if want.RetryAfterMs == nil {
		assert.Negative(t, e.RetryAfter)
	} else {
		assert.Equal(t, *want.RetryAfterMs, e.RetryAfter)
	}
}

type requestVector struct {
	About string
	Query struct {
		Endpoint, LicenseKey, APIKey string
		Hwid                         map[string]string
	}
	Want struct {
		URL   string
		Body  string
		Error *wantError
	}
}

func TestNewRequestVectors(t *testing.T) {
	require.NoError(t, testdata.Each("request", func(name string, v requestVector) {
		t.Run(name, func(t *testing.T) {
			r, err := NewRequest(Query{
				Endpoint: v.Query.Endpoint, LicenseKey: v.Query.LicenseKey, MachineID: v.Query.Hwid, APIKey: v.Query.APIKey,
			})
			if v.Want.Error != nil {
				require.Nil(t, r)
				assertError(t, v.Want.Error, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "POST", r.Method)
			assert.Equal(t, v.Want.URL, r.URL)
			assert.Equal(t, v.Want.Body, string(r.Body))
			header := [][2]string{{"Content-Type", "application/json"}, {"Accept", "application/json"}}
			if v.Query.APIKey != "" {
				header = append(header, [2]string{"Authorization", "Bearer " + v.Query.APIKey})
			}
			assert.Equal(t, header, r.Header)
		})
	}))
}

func TestNewRequestNonce(t *testing.T) {
	nonce := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef"))
	r, err := NewRequest(Query{Endpoint: "https://a.example", LicenseKey: "k", Nonce: nonce})
	require.NoError(t, err)
	assert.Equal(t, `{"metadata":{},"nonce":"`+nonce+`"}`, string(r.Body))
}

func TestMalformedUnicodeIsRefused(t *testing.T) {
	_, err := ParseKey("a\xffb")
	assertError(t, &wantError{Code: InvalidArgument, Argument: "licenseKey"}, err)
	for _, metadata := range []map[string]string{{"HWID": "\xff"}, {"\xff": "m1"}} {
		assertError(t, &wantError{Code: InvalidArgument, Argument: "hwid"}, CheckMetadata(metadata))
	}
}

// A server may know a key in another case, or repeat it as it stood in the path.
func TestMessagesShowNoKeyInAnySpelling(t *testing.T) {
	q := Query{LicenseKey: " ab12-É+secret-middle-9876 ", APIKey: "apik_SECRET_middle_1234"}
	for _, message := range []string{
		"No such key: ab12-É+secret-middle-9876.", "AB12-É+SECRET-MIDDLE-9876 twice AB12-É+Secret-Middle-9876", "at /ab12-%C3%89%2Bsecret-middle-9876/x", "AB12-%c3%89%2BSECRET-MIDDLE-9876", "Bearer APIK_secret_MIDDLE_1234",
	} {
		clean := cleanMessage(message, q)
		assert.NotContains(t, strings.ToLower(clean), "middle")
		assert.Contains(t, clean, "…")
	}
	assert.Equal(t, "İstanbul x", cleanMessage("İstanbul x", q), "text beside it stays")
}

func TestShortenKey(t *testing.T) {
	for key, want := range map[string]string{
		"":                             "…",
		"ABCDEFGHIJK":                  "…",
		"ABCDEFGHIJKL":                 "ABCD…IJKL",
		testKey:                        "A1B2…H8I9",
		"ééééxxxxxxxxüüüü":             "éééé…üüüü",
		"BETA-18DCE6-E146E733-5C8655W": "BETA…655W",
	} {
		assert.Equal(t, want, ShortenKey(key), key)
	}
}

func TestRedact(t *testing.T) {
	assert.Equal(t, "… and …, but abc", Redact("abcd and ABCD, but abc", "abcd", "abc", ""))
	assert.Equal(t, "at /A1B2…H8I9/x", Redact("at /a1b2c3-d4e5f6-g7h8i9/x", testKey))
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.255.255.255": true, "[::1]": true,
		"": false, "localhost.example.com": false, "127.1": false, "126.255.255.255": false, "128.0.0.0": false, "[::2]": false, "127.0.0.1.example.com": false,
	} {
		assert.Equal(t, want, IsLoopback(host), host)
	}
}

// Everybody who types the same key on the same machine has one lease.
func TestLeaseName(t *testing.T) {
	machineID := map[string]string{"HWID": "m1"}
	name, err := LeaseName(testKey, machineID)
	require.NoError(t, err)
	assert.Equal(t, lease.HashLicenseKey(testKey)+"."+lease.HashMetadata(machineID), name)
	same, err := LeaseName(" \u200b"+testKey+"\n", machineID)
	require.NoError(t, err)
	assert.Equal(t, name, same)
	other, err := LeaseName(testKey, nil)
	require.NoError(t, err)
	assert.NotEqual(t, name, other)
	_, err = LeaseName("a/b", machineID)
	assertError(t, &wantError{Code: InvalidArgument, Argument: "licenseKey"}, err)
}

func TestServerMessageHoldsNoSecret(t *testing.T) {
	query := Query{LicenseKey: testKey, APIKey: "apik_0123456789"}
	verdict, err := ReadResponse(query, &Response{Status: 400,
		Body: []byte(`{"message":"apik_0123456789 may not ask for ` + testKey + `"}`)}, testNow)
	require.NoError(t, err)
	assert.Equal(t, "apik…6789 may not ask for A1B2…H8I9", verdict.Message)
	_, err = ReadResponse(query, &Response{Status: 400,
		Body: []byte(`{"error":{"code":"invalid_request","message":"odd: ` + testKey + `"}}`)}, testNow)
	assert.EqualError(t, err, "odd: A1B2…H8I9")
}
