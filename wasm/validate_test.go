//go:build js

package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"syscall/js"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/testdata"
)

const (
	testKey      = "A1B2C3-D4E5F6-G7H8I9"
	testEndpoint = "https://license.example.com"
)

// page is a global object of its own, with a fetch that the test answers, and
// otherwise the real one's members.
type page struct {
	t       *testing.T
	global  js.Value
	fetched []js.Value // the arguments of each fetch, as [url, init]
	answer  func(init js.Value) any
}

func newPage(t *testing.T) *page {
	p := &page{t: t, global: js.Global().Get("Object").New()}
	for _, name := range []string{"Object", "Array", "Reflect", "JSON", "Error", "Promise", "String", "Uint8Array", "Date", "Math", "AbortController", "URL", "setTimeout", "clearTimeout"} {
		p.global.Set(name, js.Global().Get(name))
	}
	fetch := js.FuncOf(func(_ js.Value, args []js.Value) any {
		p.fetched = append(p.fetched, js.ValueOf([]any{args[0], args[1]}))
		return p.answer(args[1])
	})
	t.Cleanup(fetch.Release)
	p.global.Set("fetch", fetch)
	return p
}

func (p *page) call(args ...any) (js.Value, js.Value) {
	p.t.Helper()
	m := &module{realm: newRealm(p.global), endpoint: testEndpoint}
	values := make([]js.Value, len(args))
	for i, arg := range args {
		values[i] = js.ValueOf(arg)
	}
	return settle(m.validateLicense(values).(js.Value))
}

// settle waits for a promise and returns its value, or its reason.
func settle(promise js.Value) (value, reason js.Value) {
	done := make(chan struct{})
	fulfilled := js.FuncOf(func(_ js.Value, args []js.Value) any { value = args[0]; close(done); return nil })
	rejected := js.FuncOf(func(_ js.Value, args []js.Value) any { reason = args[0]; close(done); return nil })
	defer fulfilled.Release()
	defer rejected.Release()
	promise.Call("then", fulfilled, rejected)
	<-done
	return value, reason
}

// eval runs a JavaScript expression.
func eval(source string) js.Value {
	return js.Global().Get("Function").New("return " + source).Invoke()
}

// respond answers with a real Response.
func respond(status int, body []byte, headers map[string]string) func(js.Value) any {
	return func(js.Value) any {
		init := map[string]any{"status": status, "headers": map[string]any{}}
		for name, value := range headers {
			init["headers"].(map[string]any)[name] = value
		}
		var content any
		if len(body) > 0 {
			array := js.Global().Get("Uint8Array").New(len(body))
			js.CopyBytesToJS(array, body)
			content = array
		}
		return js.Global().Get("Promise").Call("resolve", js.Global().Get("Response").New(content, init))
	}
}

func stringify(v js.Value) string { return js.Global().Get("JSON").Call("stringify", v).String() }

func requireCode(t *testing.T, code string, reason js.Value) {
	t.Helper()
	require.True(t, reason.Truthy(), "the call was not rejected")
	require.True(t, reason.InstanceOf(js.Global().Get("Error")))
	require.Equal(t, "LicenseError", reason.Get("name").String())
	require.Equal(t, code, reason.Get("code").String(), reason.Get("message").String())
	require.Equal(t, js.TypeBoolean, reason.Get("retryable").Type())
}

// TestVectors reads the same files as the native tests, through a real
// Response's stream and into real JavaScript objects.
func TestVectors(t *testing.T) {
	type vector struct {
		About    string
		Query    struct{ LicenseKey, APIKey string }
		Response struct {
			Status     int
			Headers    map[string]string
			Body       string
			BodyBase64 []byte
			BodyRepeat struct {
				Before, Text, After string
				Times               int
			}
		}
		Want struct {
			Verdict, Error map[string]any
			Trusted        string
		}
	}
	require.NoError(t, testdata.Each("response", func(name string, v vector) {
		t.Run(name, func(t *testing.T) {
			p := newPage(t)
			repeat := v.Response.BodyRepeat
			body := v.Response.Body + string(v.Response.BodyBase64) + repeat.Before + strings.Repeat(repeat.Text, repeat.Times) + repeat.After
			p.answer = respond(v.Response.Status, []byte(body), v.Response.Headers)
			key := testKey
			if v.Query.LicenseKey != "" {
				key = v.Query.LicenseKey
			}
			options := map[string]any{"maxAttempts": 1}
			if v.Query.APIKey != "" {
				options["apiKey"], options["dangerouslyAllowBrowser"] = v.Query.APIKey, true
			}
			value, reason := p.call(key, "m1", options)
			require.Len(t, p.fetched, 1)
			untrusted := v.Want.Trusted
			if untrusted == "" {
				untrusted = v.Want.Error["code"].(string)
			}
			checkTrusted(t, p, key, options, untrusted)
			if want := v.Want.Error; want != nil {
				requireCode(t, want["code"].(string), reason)
				for _, name := range []string{"retryable", "status", "retryAfterMs"} {
					got, err := json.Marshal(want[name])
					require.NoError(t, err)
					if want[name] == nil {
						assert.True(t, reason.Get(name).IsUndefined(), name)
					} else {
						assert.Equal(t, string(got), stringify(reason.Get(name)), name)
					}
				}
				return
			}
			require.True(t, reason.IsUndefined(), "%v", reason)
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(stringify(value)), &got))
			assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, got["checkedAt"])
			delete(got, "checkedAt")
			assert.Equal(t, v.Want.Verdict, got)
		})
	}))
}

// checkTrusted asks again with a public key, without a lease and with one that
// stands in for every error but the caller's own.
func checkTrusted(t *testing.T, p *page, key string, options map[string]any, code string) {
	g := newGateway(t, 1)
	p.global.Set("crypto", js.Global().Get("crypto"))
	options["publicKey"] = g.public
	_, reason := p.call(key, "m1", options)
	requireCode(t, code, reason)
	assert.Equal(t, code != "invalid_argument" && code != "unauthorized", reason.Get("retryable").Bool())
	options["lease"] = g.sign("", map[string]string{"HWID": "m1"})
	value, reason := p.call(key, "m1", options)
	if code == "invalid_argument" {
		requireCode(t, code, reason)
		return
	}
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "lease", value.Get("source").String())
	assert.Equal(t, code, value.Get("error").Get("code").String())
	assert.NotEmpty(t, value.Get("error").Get("message").String())
}

func TestRequest(t *testing.T) {
	p := newPage(t)
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	_, reason := p.call(" "+testKey+"\n", map[string]any{"b": "2", "HWID": "m1"})
	require.True(t, reason.IsUndefined())
	require.Len(t, p.fetched, 1)
	assert.Equal(t, testEndpoint+"/api/v2/memberships/"+testKey+"/validate_license", p.fetched[0].Index(0).String())
	init := p.fetched[0].Index(1)
	for name, want := range map[string]string{
		"method": "POST", "body": `{"metadata":{"HWID":"m1","b":"2"}}`, "credentials": "omit",
		"redirect": "manual", "referrerPolicy": "no-referrer",
	} {
		assert.Equal(t, want, init.Get(name).String(), name)
	}
	// It would add headers, and with them a preflight, to every request.
	assert.True(t, init.Get("cache").IsUndefined())
	assert.JSONEq(t, `{"Content-Type":"application/json","Accept":"application/json"}`, stringify(init.Get("headers")))
	assert.True(t, init.Get("signal").InstanceOf(js.Global().Get("AbortSignal")))
	// What was added to Object.prototype must not get into a request.
	assert.True(t, js.Global().Get("Object").Call("getPrototypeOf", init).IsNull())
	assert.True(t, js.Global().Get("Object").Call("getPrototypeOf", init.Get("headers")).IsNull())
}

func TestRedirectIsNotAnOutage(t *testing.T) {
	p := newPage(t)
	p.answer = func(js.Value) any {
		return eval(`Promise.resolve({status: 0, type: "opaqueredirect", headers: new Headers(), body: null})`)
	}
	_, reason := p.call(testKey, "m1")
	requireCode(t, "bad_response", reason)
	require.Len(t, p.fetched, 1)
}

func TestConnectionFailureIsTriedAgain(t *testing.T) {
	p := newPage(t)
	p.answer = func(js.Value) any { return eval(`Promise.reject(new TypeError("Failed to fetch"))`) }
	_, reason := p.call(testKey, "m1", map[string]any{"maxAttempts": 2})
	requireCode(t, "unavailable", reason)
	assert.Equal(t, "Failed to fetch", reason.Get("cause").Get("message").String())
	require.Len(t, p.fetched, 2)
}

func TestBrokenBodyIsUnavailable(t *testing.T) {
	p := newPage(t)
	p.answer = func(js.Value) any {
		return eval(`Promise.resolve(new Response(new ReadableStream({
			start(c) { c.enqueue(new TextEncoder().encode('{"valid":true}')) }, pull() { throw new TypeError("reset") },
		}), {status: 201}))`)
	}
	_, reason := p.call(testKey, "m1", map[string]any{"maxAttempts": 1})
	requireCode(t, "unavailable", reason)
}

func TestBodiesOfOtherFetches(t *testing.T) {
	const (
		frame = `(() => {
			const frame = document.createElement("iframe");
			document.documentElement.append(frame);
			return frame.contentWindow;
		})()`
		bytes = `new TextEncoder().encode('{"valid":true,"id":"mem_1"}')`
	)
	for name, source := range map[string]string{
		"chunk of another realm":   `(window => new Response(new ReadableStream({start(c) { c.enqueue(new window.Uint8Array([0, 0, ...` + bytes + `, 0]).subarray(2, -1)); c.close() }}), {status: 201}))(` + frame + `)`,
		"buffer of another realm":  `(window => ({status: 201, arrayBuffer: async () => new window.Uint8Array(` + bytes + `).buffer}))(` + frame + `)`,
		"no stream":                `({status: 201, arrayBuffer: async () => ` + bytes + `.buffer})`,
		"a stream of another kind": `({status: 201, body: {pipe() {}, on() {}}, arrayBuffer: async () => ` + bytes + `.buffer})`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPage(t)
			p.answer = func(js.Value) any { return eval("Promise.resolve(" + source + ")") }
			verdict, reason := p.call(testKey, "m1")
			require.True(t, reason.IsUndefined(), stringify(reason))
			assert.Equal(t, "mem_1", verdict.Get("membership").Get("id").String())
		})
	}
	for name, test := range map[string]struct{ source, code string }{
		"too long":           {`({status: 201, arrayBuffer: async () => new ArrayBuffer(1 << 20)})`, "bad_response"},
		"no body at all":     {`({status: 201})`, "bad_response"},
		"buffer that fails":  {`({status: 201, arrayBuffer: async () => { throw new TypeError("reset") }})`, "unavailable"},
		"chunk that is text": {`({status: 201, body: {getReader: () => ({read: async () => ({value: "{}"})})}})`, "unavailable"},
		"chunk that is null": {`({status: 201, body: {getReader: () => ({read: async () => ({value: null})})}})`, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPage(t)
			p.answer = func(js.Value) any { return eval("Promise.resolve(" + test.source + ")") }
			_, reason := p.call(testKey, "m1", map[string]any{"maxAttempts": 1})
			requireCode(t, test.code, reason)
		})
	}
}

func TestBodyIsCutOff(t *testing.T) {
	p := newPage(t)
	endless := eval(`(() => {
		const state = {pulled: 0};
		state.response = (signal) => Promise.resolve(new Response(new ReadableStream({
			pull(c) { state.pulled++; c.enqueue(new Uint8Array(16384)) },
		}, {highWaterMark: 0}), {status: 201}));
		return state;
	})()`)
	p.answer = func(init js.Value) any { return endless.Call("response", init.Get("signal")) }
	_, reason := p.call(testKey, "m1")
	requireCode(t, "bad_response", reason)
	assert.LessOrEqual(t, endless.Get("pulled").Int(), 6)
	assert.True(t, p.fetched[0].Index(1).Get("signal").Get("aborted").Bool(), "what is left of the body must be let go")
}

func TestTimeoutAndAbortReachFetch(t *testing.T) {
	hang := func(init js.Value) any {
		return js.Global().Get("Function").New("signal", `return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))`).Invoke(init.Get("signal"))
	}
	t.Run("timeout", func(t *testing.T) {
		p := newPage(t)
		p.answer = hang
		_, reason := p.call(testKey, "m1", map[string]any{"timeoutMs": 20})
		requireCode(t, "timeout", reason)
		assert.True(t, p.fetched[0].Index(1).Get("signal").Get("aborted").Bool())
	})
	t.Run("abort", func(t *testing.T) {
		p := newPage(t)
		controller := js.Global().Get("AbortController").New()
		p.answer = func(init js.Value) any {
			promise := hang(init)
			controller.Call("abort", "enough")
			return promise
		}
		_, reason := p.call(testKey, "m1", map[string]any{"signal": controller.Get("signal")})
		requireCode(t, "aborted", reason)
		assert.Equal(t, "enough", reason.Get("cause").String())
		assert.True(t, p.fetched[0].Index(1).Get("signal").Get("aborted").Bool())
	})
	t.Run("aborted before", func(t *testing.T) {
		p := newPage(t)
		_, reason := p.call(testKey, "m1", map[string]any{"signal": js.Global().Get("AbortSignal").Call("abort")})
		requireCode(t, "aborted", reason)
		assert.Empty(t, p.fetched)
	})
	t.Run("a fetch that ignores its signal does not hold the call", func(t *testing.T) {
		p := newPage(t)
		p.answer = func(js.Value) any { return eval(`new Promise(() => {})`) }
		_, reason := p.call(testKey, "m1", map[string]any{"timeoutMs": 20})
		requireCode(t, "timeout", reason)
	})
}

// TestHostileArguments gives values of every kind. Each must be refused at
// once, with the name of the argument, and without a request.
func TestHostileArguments(t *testing.T) {
	const good = `"` + testKey + `"`
	for arguments, argument := range map[string]string{
		`[]`:                               "licenseKey",
		`[undefined]`:                      "licenseKey",
		`[null]`:                           "licenseKey",
		`[5]`:                              "licenseKey",
		`[5n]`:                             "licenseKey",
		`[Symbol("x")]`:                    "licenseKey",
		`[{}]`:                             "licenseKey",
		`[new String("k")]`:                "licenseKey",
		`[{toString() { throw 1 }}]`:       "licenseKey",
		`[() => {}]`:                       "licenseKey",
		`["\ud800"]`:                       "licenseKey",
		`["a\udc00b"]`:                     "licenseKey",
		`["x".repeat(10e6)]`:               "licenseKey",
		`["\u{1f600}".repeat(201)]`:        "licenseKey",
		`[` + good + `, null]`:             "hwid",
		`[` + good + `, 5]`:                "hwid",
		`[` + good + `, NaN]`:              "hwid",
		`[` + good + `, true]`:             "hwid",
		`[` + good + `, Symbol.iterator]`:  "hwid",
		`[` + good + `, ""]`:               "hwid",
		`[` + good + `, "\udfff"]`:         "hwid",
		`[` + good + `, "m".repeat(10e6)]`: "hwid",
		`[` + good + `, ["m1"]]`:           "hwid",
		`[` + good + `, new Map([["HWID","m1"]])]`:                                                      "hwid",
		`[` + good + `, new Date()]`:                                                                    "hwid",
		`[` + good + `, new (class { HWID = "m1" })]`:                                                   "hwid",
		`[` + good + `, {__proto__: {HWID: "m1"}}]`:                                                     "hwid",
		`[` + good + `, JSON.parse('{"__proto__": {"HWID": "m1"}}')]`:                                   "hwid",
		`[` + good + `, JSON.parse('{"__proto__": "m1"}')]`:                                             "hwid",
		`[` + good + `, {HWID: 5}]`:                                                                     "hwid",
		`[` + good + `, {HWID: undefined}]`:                                                             "hwid",
		`[` + good + `, {HWID: {toString: () => "m1"}}]`:                                                "hwid",
		`[` + good + `, {"\ud800": "m1"}]`:                                                              "hwid",
		`[` + good + `, {[Symbol("HWID")]: "m1"}]`:                                                      "hwid",
		`[` + good + `, {get HWID() { throw new Error("no") }}]`:                                        "hwid",
		`[` + good + `, {get HWID() { throw undefined }}]`:                                              "hwid",
		`[` + good + `, new Proxy({}, {ownKeys() { throw 1 }})]`:                                        "hwid",
		`[` + good + `, new Proxy({}, {getPrototypeOf() { throw 1 }})]`:                                 "hwid",
		`[` + good + `, (() => { const r = Proxy.revocable({}, {}); r.revoke(); return r.proxy })()]`:   "hwid",
		`[` + good + `, Object.fromEntries(Array.from({length: 1e5}, (_, i) => ["k" + i, "v"]))]`:       "hwid",
		`[` + good + `, "m1", null]`:                                                                    "options",
		`[` + good + `, "m1", "x"]`:                                                                     "options",
		`[` + good + `, "m1", []]`:                                                                      "options",
		`[` + good + `, "m1", {retries: 5}]`:                                                            "options",
		`[` + good + `, "m1", {[Symbol()]: 5}]`:                                                         "options",
		`[` + good + `, "m1", JSON.parse('{"__proto__": {}}')]`:                                         "options",
		`[` + good + `, "m1", {__proto__: {endpoint: "https://evil.example"}}]`:                         "options",
		`[` + good + `, "m1", {endpoint: 5}]`:                                                           "endpoint",
		`[` + good + `, "m1", {endpoint: null}]`:                                                        "endpoint",
		`[` + good + `, "m1", {endpoint: ""}]`:                                                          "endpoint",
		`[` + good + `, "m1", {endpoint: new URL("https://a.example")}]`:                                "endpoint",
		`[` + good + `, "m1", {endpoint: "http://a.example"}]`:                                          "endpoint",
		`[` + good + `, "m1", {get endpoint() { throw new Error("no") }}]`:                              "options",
		`[` + good + `, "m1", {apiKey: 5}]`:                                                             "apiKey",
		`[` + good + `, "m1", {apiKey: ""}]`:                                                            "apiKey",
		`[` + good + `, "m1", {apiKey: "a\nb"}]`:                                                        "apiKey",
		`[` + good + `, "m1", {apiKey: "k", dangerouslyAllowBrowser: "true"}]`:                          "dangerouslyAllowBrowser",
		`[` + good + `, "m1", {timeoutMs: 0}]`:                                                          "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: -1}]`:                                                         "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: NaN}]`:                                                        "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: Infinity}]`:                                                   "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: 2 ** 31}]`:                                                    "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: "5"}]`:                                                        "timeoutMs",
		`[` + good + `, "m1", {timeoutMs: 5n}]`:                                                         "timeoutMs",
		`[` + good + `, "m1", {maxAttempts: 0}]`:                                                        "maxAttempts",
		`[` + good + `, "m1", {maxAttempts: 4}]`:                                                        "maxAttempts",
		`[` + good + `, "m1", {maxAttempts: 1.5}]`:                                                      "maxAttempts",
		`[` + good + `, "m1", {publicKey: ""}]`:                                                         "publicKey",
		`[` + good + `, "m1", {publicKey: null}]`:                                                       "publicKey",
		`[` + good + `, "m1", {publicKey: []}]`:                                                         "publicKey",
		`[` + good + `, "m1", {publicKey: [""]}]`:                                                       "publicKey",
		`[` + good + `, "m1", {publicKey: Array(1e6).fill("x")}]`:                                       "publicKey",
		`[` + good + `, "m1", {publicKey: "A".repeat(43)}]`:                                             "publicKey",
		`[` + good + `, "m1", {publicKey: "x".repeat(1e6)}]`:                                            "publicKey",
		`[` + good + `, "m1", {publicKey: {length: 1, 0: "x"}}]`:                                        "publicKey",
		`[` + good + `, "m1", {lease: "x"}]`:                                                            "publicKey",
		`[` + good + `, "m1", {audience: "prod_1"}]`:                                                    "publicKey",
		`[` + good + `, "m1", {lease: 5}]`:                                                              "lease",
		`[` + good + `, "m1", {issuer: ""}]`:                                                            "issuer",
		`[` + good + `, "m1", {audience: 5}]`:                                                           "audience",
		`[` + good + `, "m1", {preferLease: 1}]`:                                                        "preferLease",
		`[` + good + `, "m1", {clock: 5}]`:                                                              "clock",
		`[` + good + `, "m1", {clock: {}, publicKey: "x"}]`:                                             "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1}, publicKey: "x"}]`:                                  "publicKey",
		`[` + good + `, "m1", {clock: {now: 5}}]`:                                                       "clock",
		`[` + good + `, "m1", {clock: {lastSeen: NaN}}]`:                                                "clock",
		`[` + good + `, "m1", {clock: {lastSeen: -1}}]`:                                                 "clock",
		`[` + good + `, "m1", {clock: {lastSeen: Infinity}}]`:                                           "clock",
		`[` + good + `, "m1", {clock: {lastSeen: undefined}}]`:                                          "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1, skew: NaN}}]`:                                       "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1, skew: "1"}}]`:                                       "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1, skew: 8.7e15}}]`:                                    "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1, skew: -8.7e15}}]`:                                   "clock",
		`[` + good + `, "m1", {clock: {skew: 1}}]`:                                                      "clock",
		`[` + good + `, "m1", {clock: {lastSeen: 1, skew: 1}}]`:                                         "publicKey",
		`[` + good + `, "m1", {clock: {get lastSeen() { throw 1 }}}]`:                                   "clock",
		`[` + good + `, "m1", {signal: {}}]`:                                                            "signal",
		`[` + good + `, "m1", {signal: "x"}]`:                                                           "signal",
		`[` + good + `, "m1", {signal: null}]`:                                                          "signal",
		`[` + good + `, "m1", {signal: {aborted: false, addEventListener: 5, removeEventListener: 5}}]`: "signal",
		`[` + good + `, "m1", {signal: {get aborted() { throw 1 }, addEventListener() {}}}]`:            "signal",
	} {
		t.Run(arguments, func(t *testing.T) {
			p := newPage(t)
			list := eval(arguments)
			args := make([]any, list.Length())
			for i := range args {
				args[i] = list.Index(i)
			}
			_, reason := p.call(args...)
			requireCode(t, "invalid_argument", reason)
			message := reason.Get("message").String()
			assert.True(t, strings.HasPrefix(message, argument+": "), message)
			assert.Equal(t, argument, reason.Get("argument").String())
			assert.Less(t, len(message), 400)
			assert.Empty(t, p.fetched)
		})
	}
}

func TestSignalsThatThrow(t *testing.T) {
	p := newPage(t)
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	signal := eval(`({aborted: false, addEventListener() { throw new Error("no") }, removeEventListener() {}})`)
	_, reason := p.call(testKey, "m1", map[string]any{"signal": signal})
	requireCode(t, "invalid_argument", reason)
	assert.Equal(t, "signal: can't be read", reason.Get("message").String())
	assert.Equal(t, "no", reason.Get("cause").Get("message").String())
	assert.Empty(t, p.fetched)
	signal = eval(`({aborted: false, addEventListener() {}, removeEventListener() { throw new Error("no") }})`)
	_, reason = p.call(testKey, "m1", map[string]any{"signal": signal})
	require.True(t, reason.IsUndefined())
	p.answer = func(js.Value) any { signal.Call("abort"); return eval(`new Promise(() => {})`) }
	signal = eval(`({
		aborted: false, get reason() { throw new Error("no") },
		addEventListener(_, listener) { this.abort = listener }, removeEventListener() {},
	})`)
	_, reason = p.call(testKey, "m1", map[string]any{"signal": signal})
	requireCode(t, "aborted", reason)
}

// TestOddFunctionsOfAPage holds that what a page puts in place of its own
// functions reaches no other call than the one it was used for.
// askOnce makes a call of one attempt, and returns why it was rejected.
func askOnce(m *module) js.Value {
	_, reason := settle(m.validateLicense([]js.Value{js.ValueOf(testKey), js.ValueOf("m1"), js.ValueOf(map[string]any{"maxAttempts": 1, "timeoutMs": 60_000})}).(js.Value))
	return reason
}

func TestOddFunctionsOfAPage(t *testing.T) {
	p := newPage(t)
	m := &module{realm: newRealm(p.global), endpoint: testEndpoint}
	call := func() js.Value { return askOnce(m) }
	good := respond(201, []byte(`{"valid":true}`), nil)
	p.answer = good
	require.True(t, call().IsUndefined())

	p.answer = func(js.Value) any { return 7 }
	requireCode(t, "unavailable", call())
	assert.Len(t, m.idleAwaiters, 1, "functions that are not given back are lost")

	late := eval(`({then(fulfilled) { this.again = () => fulfilled(new Response("{}")); fulfilled(new Response('{"valid":true}', {status: 201})) }})`)
	p.answer = func(js.Value) any { return late }
	require.True(t, call().IsUndefined())
	p.answer = func(init js.Value) any { late.Call("again"); return good(init) }
	require.True(t, call().IsUndefined(), "an answer that comes twice must not be another call's")

	timers := eval(`(() => {
		const started = [];
		return {started, set: (f, ms) => started.push(f), clear() {}, real: clearTimeout};
	})()`)
	p.global.Set("setTimeout", timers.Get("set"))
	p.answer = func(init js.Value) any {
		p.global.Set("clearTimeout", timers.Get("clear"))
		return good(init)
	}
	require.True(t, call().IsUndefined())
	p.answer = func(js.Value) any {
		timers.Get("started").Index(1).Invoke()
		timers.Get("started").Index(1).Invoke()
		return eval(`new Promise(() => {})`)
	}
	requireCode(t, "timeout", call())

	// A clock for tests that is put in place while a call runs must not let
	// that call's timer run out during the next.
	cleared := eval(`[]`)
	p.global.Set("setTimeout", js.Global().Get("setTimeout"))
	p.global.Set("clearTimeout", js.Global().Get("Function").New("list", `return (id) => { list.push(id); clearTimeout(id) }`).Invoke(cleared))
	p.answer = func(init js.Value) any {
		p.global.Set("clearTimeout", timers.Get("clear"))
		return good(init)
	}
	require.True(t, call().IsUndefined())
	assert.Equal(t, 1, cleared.Length())
}

// What a page's own fetch answers can throw, and settle more than once: that ends
// the call, and not the module.
func TestOddAnswersOfAPagesFetch(t *testing.T) {
	p := newPage(t)
	m := &module{realm: newRealm(p.global), endpoint: testEndpoint}
	call := func() js.Value { return askOnce(m) }
	throws := `() => { throw new Error("from a getter") }`
	for name, source := range map[string]string{
		"status":  `Object.defineProperty({}, "status", {get: ` + throws + `})`,
		"headers": `Object.defineProperty({status: 500}, "headers", {get: ` + throws + `})`,
		"body":    `Object.defineProperty({status: 201}, "body", {get: ` + throws + `})`,
		"value":   `({status: 201, body: {getReader: () => ({read: async () => Object.defineProperty({}, "value", {get: ` + throws + `})})}})`,
		"reader":  `({status: 201, body: {getReader: ` + throws + `}})`,
		"read":    `({status: 201, body: {getReader: () => ({read: ` + throws + `})}})`,
	} {
		p.answer = func(js.Value) any { return eval(source) }
		requireCode(t, "unavailable", call())
		p.answer = respond(201, []byte(`{"valid":true}`), nil)
		require.True(t, call().IsUndefined(), "after %s the module goes on", name)
	}
	p.answer = func(js.Value) any {
		return eval(`({status: 201, body: {getReader: () => ({read: () => ({then(f) { f({done: true}); f({done: true}); f({done: true}) }})})}})`)
	}
	requireCode(t, "bad_response", call())
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	require.True(t, call().IsUndefined())
}

// What fetch can't read it would refuse as if there were no connection, and quote
// with the license key in it.
func TestHostsThatCannotBe(t *testing.T) {
	p := newPage(t)
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	for _, host := range []string{"1.2.3.999", "999999999999"} {
		_, reason := p.call(testKey, "m1", map[string]any{"endpoint": "https://" + host})
		requireCode(t, "invalid_argument", reason)
		assert.Contains(t, reason.Get("message").String(), "endpoint: ")
	}
	_, reason := p.call(testKey, "m1", map[string]any{"endpoint": "https://xn--bcher-kva.example"})
	assert.True(t, reason.IsUndefined())
	assert.Len(t, p.fetched, 1)
	p.global.Delete("URL")
	_, reason = p.call(testKey, "m1")
	assert.True(t, reason.IsUndefined(), "a platform that can't tell")
}

func TestUndefinedOptionsAreAbsent(t *testing.T) {
	p := newPage(t)
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	_, reason := p.call(testKey, js.Undefined(), eval(`({endpoint: undefined, signal: undefined, timeoutMs: undefined, __proto__: null})`))
	require.True(t, reason.IsUndefined())
	assert.Equal(t, `{"metadata":{}}`, p.fetched[0].Index(1).Get("body").String())
}

func TestAPIKeyInAPage(t *testing.T) {
	for _, name := range []string{"window", "document", "WorkerGlobalScope"} {
		p := newPage(t)
		p.global.Set(name, js.Global().Get("Object").New())
		_, reason := p.call(testKey, "m1", map[string]any{"apiKey": "k"})
		requireCode(t, "invalid_argument", reason)
		assert.Contains(t, reason.Get("message").String(), "dangerouslyAllowBrowser")
		_, reason = p.call(testKey, "m1", map[string]any{"apiKey": "k", "dangerouslyAllowBrowser": false})
		requireCode(t, "invalid_argument", reason)
		assert.Empty(t, p.fetched)
		p.answer = respond(201, []byte(`{"valid":true}`), nil)
		_, reason = p.call(testKey, "m1", map[string]any{"apiKey": "k", "dangerouslyAllowBrowser": true})
		require.True(t, reason.IsUndefined())
		assert.Equal(t, "Bearer k", p.fetched[0].Index(1).Get("headers").Get("Authorization").String())
	}
	p := newPage(t)
	p.answer = respond(201, []byte(`{"valid":true}`), nil)
	_, reason := p.call(testKey, "m1", map[string]any{"apiKey": "k"})
	require.True(t, reason.IsUndefined(), "outside a page an API key is the seller's own affair")
}

func TestManyInFlight(t *testing.T) {
	p := newPage(t)
	// Not a Go function: one that is called back while others wait to run would
	// nest them all on one stack, which a real fetch does not.
	p.global.Set("fetch", eval(`(url, init) => {
		if (init.body.includes("throws")) throw new Error("no");
		if (init.body.includes("odd")) return Promise.resolve(7);
		return Promise.resolve(new Response(init.body.includes("bad") ? '{"valid":"true"}' : '{"valid":true}', {status: 201}));
	}`))
	kinds := []string{"good", "bad", "throws", "odd", "invalid"}
	codes := map[string]string{"good": "", "bad": "bad_response", "throws": "unavailable", "odd": "unavailable", "invalid": "invalid_argument"}
	m := &module{realm: newRealm(p.global), endpoint: testEndpoint}
	var wait sync.WaitGroup
	for i := range 1000 {
		kind := kinds[i%len(kinds)]
		wait.Go(func() {
			var metadata any = kind + strconv.Itoa(i)
			if kind == "invalid" {
				metadata = ""
			}
			_, reason := settle(m.validateLicense([]js.Value{
				js.ValueOf(testKey), js.ValueOf(metadata), js.ValueOf(map[string]any{"maxAttempts": 1}),
			}).(js.Value))
			if code := codes[kind]; code == "" {
				assert.True(t, reason.IsUndefined())
			} else if assert.True(t, reason.Truthy()) {
				assert.Equal(t, code, reason.Get("code").String())
			}
		})
	}
	wait.Wait()
}

func TestExport(t *testing.T) {
	p := newPage(t)
	export(&module{realm: newRealm(p.global)})
	f := p.global.Get("validateLicense")
	require.Equal(t, js.TypeFunction, f.Type())
	assert.Regexp(t, `^\d+\.\d+\.\d+$`, f.Get("version").String())
	_, reason := settle(f.Invoke(testKey))
	requireCode(t, "invalid_argument", reason)
	assert.Contains(t, reason.Get("message").String(), "endpoint: ")
}
