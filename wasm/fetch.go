//go:build js

package main

import (
	"errors"
	"syscall/js"

	"github.com/whop-license/whop-license/shared/license"
)

var errNoFetch = errors.New("fetch is not available here")

// fetchTransport sends requests by the page's fetch.
type fetchTransport struct{ *module }

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
	abort := t.abortController.New()
	answers := t.takeAnswers()
	complete := false
	defer func() {
		if !complete {
			abort.Call("abort") // ends what is left of the body
		}
		answers.close()
	}()

	headers := t.create.Invoke(js.Null())
	for _, h := range request.Header {
		headers.Set(h[0], h[1])
	}
	// The page's fetch may be a wrapper that copies these, so they are its own.
	init := t.assign.Invoke(t.create.Invoke(js.Null()), t.fetchInit)
	init.Set("method", request.Method)
	init.Set("headers", headers)
	init.Set("body", string(request.Body))
	init.Set("signal", abort.Get("signal"))
	// A page's own fetch may return something that is no promise, or none that
	// settles only once.
	answer, err := answers.await(ctx, t.resolve.Invoke(fetch.Invoke(request.URL, init)))
	if err != nil {
		return nil, err
	}
	response = &license.Response{Status: t.get.Invoke(answer, t.status).Int()}
	if response.Status >= 400 {
		if header := t.get.Invoke(answer, "headers").Call("get", "Retry-After"); header.Type() == js.TypeString {
			response.RetryAfter = header.String()
		}
	}
	response.Body, complete, err = t.readBody(ctx, answers, t.get.Invoke(answer, t.body))
	return response, err
}

// readBody reads a stream to its end, or to over the limit.
func (t *fetchTransport) readBody(ctx license.Context, answers *answers, stream js.Value) (body []byte, complete bool, err error) {
	if !stream.Truthy() {
		return nil, true, nil
	}
	reader := stream.Call("getReader")
	for len(body) <= license.MaxBody {
		result, err := answers.await(ctx, reader.Call("read"))
		if err != nil {
			return nil, false, err
		}
		chunk := t.get.Invoke(result, t.value)
		if chunk.IsUndefined() {
			return body, true, nil
		}
		n := min(chunk.Length(), license.MaxBody+1-len(body))
		start := len(body)
		body = append(body, make([]byte, n)...)
		js.CopyBytesToGo(body[start:], chunk)
	}
	return body, false, nil
}

// answers waits for promises, one after the other, with one pair of functions.
type answers struct {
	settled             chan answer
	fulfilled, rejected js.Func
	pending, closed     bool
	done                func(*answers) // called once closed and settled
}

type answer struct {
	value js.Value
	err   error
}

// maxIdle is how many answers and timers are kept for the next call. To make
// and release their functions is a good part of what a check costs.
const maxIdle = 8

func (m *module) takeAnswers() *answers {
	if n := len(m.idleAnswers); n > 0 {
		a := m.idleAnswers[n-1]
		m.idleAnswers = m.idleAnswers[:n-1]
		a.closed = false
		return a
	}
	a := &answers{settled: make(chan answer, 1), done: m.giveAnswers}
	a.fulfilled = js.FuncOf(func(_ js.Value, args []js.Value) any {
		a.settle(answer{value: args[0]})
		return nil
	})
	a.rejected = js.FuncOf(func(_ js.Value, args []js.Value) any {
		a.settle(answer{err: js.Error{Value: args[0]}})
		return nil
	})
	return a
}

func (m *module) giveAnswers(a *answers) {
	if len(m.idleAnswers) < maxIdle {
		m.idleAnswers = append(m.idleAnswers, a)
		return
	}
	a.fulfilled.Release()
	a.rejected.Release()
}

// await waits for a promise or for the end of ctx, after which a may only be closed.
func (a *answers) await(ctx license.Context, promise js.Value) (js.Value, error) {
	a.pending = true
	promise.Call("then", a.fulfilled, a.rejected)
	select {
	case got := <-a.settled:
		return got.value, got.err
	case <-ctx.Done():
		return js.Value{}, ctx.Err()
	}
}

func (a *answers) settle(got answer) {
	if !a.pending {
		return // A page's own stream may settle more than once.
	}
	a.pending = false
	if a.closed {
		a.done(a)
		return
	}
	a.settled <- got
}

// close ends the use of a. Where a promise is still to be settled, that comes
// to its end with it, as an aborted fetch's does.
func (a *answers) close() {
	a.closed = true
	select {
	case <-a.settled: // came as the wait for it ended
	default:
	}
	if !a.pending {
		a.done(a)
	}
}
