//go:build js

package main

import (
	"errors"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

var errNoFetch = errors.New("fetch is not available here")

// fetchTransport sends requests with the page's fetch.
type fetchTransport struct{ *module }

// Send implements [license.Transport].
//
// The mode of redirects is "manual" and not "error". Neither follows a redirect, but
// "error" ends in the same TypeError as a lost connection, so that a server that
// redirects would be taken for an outage.
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
	abort := t.abortController.New()
	waiting := t.takeAwaiter()
	complete := false
	defer func() {
		if !complete {
			abort.Call("abort") // don't download the rest of the body
		}
		waiting.close()
	}()

	headers := t.create.Invoke(js.Null())
	for _, h := range request.Header {
		headers.Set(h[0], h[1])
	}
	// Own members, because a page's fetch may be a wrapper that copies only those.
	init := t.assign.Invoke(t.create.Invoke(js.Null()), t.fetchInit)
	init.Set("method", request.Method)
	init.Set("headers", headers)
	init.Set("body", string(request.Body))
	init.Set("signal", abort.Get("signal"))
	// A page's own fetch may return something that is no promise, or a promise that
	// settles more than once.
	fetched, err := waiting.await(ctx, t.resolve.Invoke(fetch.Invoke(request.URL, init)))
	if err != nil {
		return nil, err
	}
	response = &license.Response{Status: t.get.Invoke(fetched, t.status).Int()}
	if response.Status >= 400 {
		if header := t.get.Invoke(fetched, "headers").Call("get", "Retry-After"); header.Type() == js.TypeString {
			response.RetryAfter = header.String()
		}
	}
	stream := t.get.Invoke(fetched, t.body)
	if stream.Truthy() && stream.Get("getReader").Type() == js.TypeFunction {
		response.Body, complete, err = t.readBody(ctx, waiting, stream)
	} else {
		response.Body, err = t.wholeBody(ctx, waiting, fetched)
		complete = err == nil
	}
	return response, err
}

// wholeBody reads the body of a response without a stream: it has none, or is one of
// an older fetch or of a polyfill.
func (t *fetchTransport) wholeBody(ctx license.Context, waiting *awaiter, fetched js.Value) ([]byte, error) {
	if fetched.Get("arrayBuffer").Type() != js.TypeFunction {
		return nil, nil
	}
	buffer, err := waiting.await(ctx, t.resolve.Invoke(fetched.Call("arrayBuffer")))
	if err != nil {
		return nil, err
	}
	return t.appendBytes(nil, t.uint8Array.New(buffer)), nil
}

// appendBytes adds a Uint8Array to a body, which it lets become longer than
// [license.MaxBody] by one byte.
func (t *fetchTransport) appendBytes(body []byte, chunk js.Value) []byte {
	n := min(chunk.Length(), license.MaxBody+1-len(body))
	start := len(body)
	body = append(body, make([]byte, n)...)
	js.CopyBytesToGo(body[start:], chunk)
	return body
}

// readBody reads a stream to its end, or until it is longer than [license.MaxBody].
func (t *fetchTransport) readBody(ctx license.Context, waiting *awaiter, stream js.Value) (body []byte, complete bool, err error) {
	reader := stream.Call("getReader")
	for len(body) <= license.MaxBody {
		result, err := waiting.await(ctx, reader.Call("read"))
		if err != nil {
			return nil, false, err
		}
		chunk := t.get.Invoke(result, t.value)
		if chunk.IsUndefined() {
			return body, true, nil
		}
		if !chunk.InstanceOf(t.uint8Array) {
			// Another realm's, as in a test runner's DOM. CopyBytesToGo takes only this one's.
			chunk = t.uint8Array.New(chunk.Get("buffer"), chunk.Get("byteOffset"), chunk.Get("byteLength"))
		}
		body = t.appendBytes(body, chunk)
	}
	return body, false, nil
}
