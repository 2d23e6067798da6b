package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// An answer is a response as it is before a fault changes how it is sent. Its content
// type is JSON unless contentType says otherwise.
type answer struct {
	status               int
	contentType          string
	retryAfter, location string
	body                 []byte
}

func (c *exchange) head(a answer) {
	h := c.w.Header()
	if len(a.body) > 0 || a.contentType != "" {
		if a.contentType == "" {
			a.contentType = "application/json; charset=utf-8"
		}
		h.Set("Content-Type", a.contentType)
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	h.Set("Cache-Control", "no-store")
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	c.w.WriteHeader(a.status)
}

func (c *exchange) write(a answer) {
	c.head(a)
	_, _ = c.w.Write(a.body)
}

// wait waits for the time d. It reports false if the client leaves before, or the
// program is told to stop.
func (c *exchange) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.r.Context().Done():
		return false
	}
}

// errorBody has the shape that is documented for the operation's version.
func errorBody(op operation, status int, kind, message string) []byte {
	detail := map[string]any{"message": message}
	switch {
	case op != opValidate:
		detail["type"] = kind
	case status == http.StatusBadRequest:
		detail["code"] = status
	default:
		detail["status"] = status
	}
	return encode(map[string]any{"error": detail})
}

func apiError(op operation, status int, kind, message string) answer {
	return answer{status: status, body: errorBody(op, status, kind, message)}
}

func encode(v any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("whopsim: " + err.Error()) // only values of our own making get here
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}
