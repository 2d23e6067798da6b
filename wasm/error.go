//go:build js

package main

import (
	"syscall/js"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// loadFailed is the code of an error of the module itself.
const loadFailed license.ErrorCode = "load_failed"

// errorValue returns err as a JavaScript Error named LicenseError.
func (r *realm) errorValue(err error) js.Value {
	e, ok := err.(*license.Error)
	if !ok {
		e = &license.Error{Code: loadFailed, Message: err.Error(), RetryAfter: -1}
	}
	members := []any{"name", "LicenseError", "code", string(e.Code), "retryable", e.Retryable()}
	if e.Argument != "" {
		members = append(members, "argument", e.Argument)
	}
	if e.Status != 0 {
		members = append(members, "status", e.Status)
	}
	if e.RetryAfter >= 0 {
		members = append(members, "retryAfterMs", float64(e.RetryAfter))
	}
	switch cause := e.Cause.(type) {
	case js.Error:
		members = append(members, "cause", cause.Value)
	case *lease.Error:
		members = append(members, "cause", r.define(r.errorClass.New(cause.Message), "reason", string(cause.Reason)))
	}
	return r.define(r.errorClass.New(e.Message), members...)
}
