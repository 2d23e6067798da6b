//go:build js

package main

import (
	"errors"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

var errNoFetch = errors.New("fetch is not available here")

// fetchTransport sends requests by the page's fetch.
type fetchTransport struct{ *realm }

// Send implements [license.Transport].
//
// A redirect is asked for as "manual" and not as "error": neither follows it,
// but "error" ends in the same TypeError as a lost connection, and a server
// that redirects would read as an outage.
func (t *fetchTransport) Send(ctx license.Context, request *license.Request) (response *license.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			thrown, ok := p.(error)
			if !ok {
				panic(p)
			}
			response, err = nil, thrown
		}
	}()
	fetch := t.global.Get("fetch")
	if fetch.Type() != js.TypeFunction {
		return nil, errNoFetch
	}
	abort := t.global.Get("AbortController").New()
	defer abort.Call("abort") // ends what is left of the body

	headers := t.create.Invoke(js.Null())
	for _, h := range request.Header {
		headers.Set(h[0], h[1])
	}
	answer, err := t.await(ctx, fetch.Invoke(request.URL, t.dict(
		"method", request.Method,
		"headers", headers,
		"body", string(request.Body),
		"credentials", "omit",
		"cache", "no-store",
		"redirect", "manual",
		"referrerPolicy", "no-referrer",
		"signal", abort.Get("signal"),
	)))
	if err != nil {
		return nil, err
	}
	response = &license.Response{Status: answer.Get("status").Int()}
	if header := answer.Get("headers").Call("get", "Retry-After"); header.Type() == js.TypeString {
		response.RetryAfter = header.String()
	}
	response.Body, err = t.readBody(ctx, answer.Get("body"))
	return response, err
}

// readBody reads a stream to its end, or to one byte over the limit.
func (t *fetchTransport) readBody(ctx license.Context, stream js.Value) ([]byte, error) {
	if !stream.Truthy() {
		return nil, nil
	}
	var body []byte
	reader := stream.Call("getReader")
	for len(body) <= license.MaxBody {
		result, err := t.await(ctx, reader.Call("read"))
		if err != nil {
			return nil, err
		}
		if result.Get("done").Truthy() {
			break
		}
		chunk := result.Get("value")
		n := min(chunk.Length(), license.MaxBody+1-len(body))
		start := len(body)
		body = append(body, make([]byte, n)...)
		js.CopyBytesToGo(body[start:], chunk)
	}
	return body, nil
}

// await waits for a promise or for the end of ctx. The functions given to the
// promise are released when it settles, which an aborted fetch does.
func (t *fetchTransport) await(ctx license.Context, promise js.Value) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	var fulfilled, rejected js.Func
	settle := func(o outcome) {
		settled <- o
		fulfilled.Release()
		rejected.Release()
	}
	fulfilled = js.FuncOf(func(_ js.Value, args []js.Value) any {
		settle(outcome{value: args[0]})
		return nil
	})
	rejected = js.FuncOf(func(_ js.Value, args []js.Value) any {
		settle(outcome{err: js.Error{Value: args[0]}})
		return nil
	})
	promise.Call("then", fulfilled, rejected)
	select {
	case o := <-settled:
		return o.value, o.err
	case <-ctx.Done():
		return js.Value{}, ctx.Err()
	}
}
