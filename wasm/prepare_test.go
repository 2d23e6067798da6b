//go:build js

package main

import (
	"syscall/js"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
)

// inPackage calls a module as the npm package does.
type inPackage struct{ js.Value }

func (p *page) inPackage() inPackage {
	m := &module{realm: newRealm(p.global), endpoint: testEndpoint}
	return inPackage{m.packageInterface()}
}

func (i inPackage) prepare(args ...any) js.Value {
	for len(args) < 4 {
		args = append(args, js.Undefined())
	}
	return i.Call("prepare", args...)
}

func (i inPackage) run(call js.Value, kept, timeoutMs any) (answer, reason js.Value) {
	return settle(i.Call("run", call.Get("handle"), kept, timeoutMs))
}

// ask makes a whole call, with settings and no options.
func (i inPackage) ask(settings map[string]any) (answer, reason js.Value) {
	call := i.prepare(testKey, "m1", js.Undefined(), settings)
	defer i.Call("release", call.Get("handle"))
	return i.run(call, js.Undefined(), js.Undefined())
}

func TestOptionsStandBeforeSettings(t *testing.T) {
	g, other := newGateway(t, 1), newGateway(t, 2)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.answer
	settings := map[string]any{"publicKey": g.public}
	i := p.inPackage()
	answer, reason := i.ask(settings)
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, js.TypeString, answer.Get("verdict").Get("lease").Type())
	call := i.prepare(testKey, "m1", map[string]any{"publicKey": other.public}, settings)
	_, reason = i.run(call, js.Undefined(), js.Undefined())
	requireCode(t, "untrusted_response", reason)
}

// The caller's objects are read by prepare, and never again.
func TestPrepareReadsOnce(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	p.answer = g.answer
	read := eval(`[]`)
	object := js.Global().Get("Function").New("read", "members", `
		const o = {};
		for (const [name, value] of Object.entries(members))
			Object.defineProperty(o, name, { enumerable: true, get: () => { read.push(name); return value } });
		return o`)
	i := p.inPackage()
	call := i.prepare(testKey,
		object.Invoke(read, map[string]any{"HWID": "m1"}),
		object.Invoke(read, map[string]any{"timeoutMs": 5000, "maxAttempts": 2}),
		map[string]any{"publicKey": g.public})
	assert.Equal(t, 5000, call.Get("timeoutMs").Int())
	assert.True(t, call.Get("signal").IsUndefined())
	for range 2 {
		_, reason := i.run(call, js.Undefined(), 4000)
		require.True(t, reason.IsUndefined(), "%v", reason)
	}
	_, reason := settle(i.Call("refresh", call.Get("handle")))
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, `["HWID","maxAttempts","timeoutMs"]`, stringify(read.Call("sort")))
	assert.Len(t, g.nonces, 3)
	assert.NotEqual(t, g.nonces[0], g.nonces[1])
}

func TestKeptLease(t *testing.T) {
	g := newGateway(t, 1)
	p := newPage(t)
	p.global.Set("crypto", js.Global().Get("crypto"))
	kept := map[string]any{"lease": g.sign("", map[string]string{"HWID": "m1"}), "preferLease": true}
	settings := map[string]any{"publicKey": g.public}
	i := p.inPackage()
	call := i.prepare(testKey, "m1", js.Undefined(), settings)
	answer, reason := i.run(call, kept, js.Undefined())
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "lease", answer.Get("verdict").Get("source").String())
	assert.Empty(t, p.fetched)

	p.answer = g.answer
	answer, reason = settle(i.Call("refresh", call.Get("handle")))
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "server", answer.Get("verdict").Get("source").String())
	assert.Len(t, p.fetched, 1, "a refresh asks the server whatever was kept")

	call = i.prepare(testKey, "m1", map[string]any{"preferLease": false}, settings)
	answer, reason = i.run(call, kept, js.Undefined())
	require.True(t, reason.IsUndefined(), "%v", reason)
	assert.Equal(t, "server", answer.Get("verdict").Get("source").String(), "the caller's own option stands")
}

func TestRefreshAsksOnceWithoutTheSignal(t *testing.T) {
	p := newPage(t)
	p.answer = respond(503, nil, nil)
	i := p.inPackage()
	controller := js.Global().Get("AbortController").New()
	call := i.prepare(testKey, "m1", map[string]any{"maxAttempts": 3, "signal": controller.Get("signal")})
	assert.True(t, call.Get("signal").Equal(controller.Get("signal")))
	controller.Call("abort")
	_, reason := i.run(call, js.Undefined(), js.Undefined())
	requireCode(t, "aborted", reason)
	assert.Empty(t, p.fetched)
	_, reason = settle(i.Call("refresh", call.Get("handle")))
	requireCode(t, "unavailable", reason)
	assert.Len(t, p.fetched, 1)
}

func TestHandlesAreUsedAgain(t *testing.T) {
	i := newPage(t).inPackage()
	first, second := i.prepare(testKey, "m1"), i.prepare(testKey, "m2")
	assert.NotEqual(t, first.Get("handle").Int(), second.Get("handle").Int())
	i.Call("release", first.Get("handle"))
	assert.Equal(t, first.Get("handle").Int(), i.prepare(testKey, "m3").Get("handle").Int())
	assert.Equal(t, 2, i.prepare(testKey, "m4").Get("handle").Int())
}

func TestVerifySettings(t *testing.T) {
	i := newPage(t).inPackage()
	assert.True(t, i.Call("verifySettings", map[string]any{"publicKey": newGateway(t, 1).public}).IsNull())
	for argument, settings := range map[string]any{
		"publicKey": map[string]any{"publicKey": "x"},
		"issuer":    map[string]any{"issuer": ""},
		"audience":  eval(`({get audience() { throw 1 }})`),
	} {
		reason := i.Call("verifySettings", settings)
		requireCode(t, "invalid_argument", reason)
		if argument != "audience" {
			assert.Equal(t, argument, reason.Get("argument").String())
		}
	}
}

func TestLeaseName(t *testing.T) {
	i := newPage(t).inPackage()
	name := i.prepare(" "+testKey+"\n", "m1").Get("name").String()
	assert.Equal(t, lease.HashLicenseKey(testKey)+"."+lease.HashMetadata(map[string]string{"HWID": "m1"}), name)
	assert.Equal(t, name, i.prepare(testKey, map[string]any{"HWID": "m1"}).Get("name").String())
	assert.NotEqual(t, name, i.prepare(testKey).Get("name").String())
	assert.True(t, i.prepare("").Get("name").IsUndefined())
	for _, args := range [][]any{{}, {5}, {testKey, 5}, {testKey, eval(`({get HWID() { throw 1 }})`)}} {
		requireCode(t, "invalid_argument", i.prepare(args...))
	}
}
