package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/whop-license/whop-license/shared/machine"
	"github.com/whop-license/whop-license/shared/version"
)

// protocol is the number of the protocol spoken here.
const protocol = 1

// codeNoMachineID is the JSON-RPC code of machine.CodeNoMachineID.
const codeNoMachineID = -32001

// A capturer asks the system for what a scheme needs.
type capturer func(machine.Scheme) machine.Captured

// serve answers requests from in on out until in ends, and returns nil where
// it ended between two frames. It reads the next request when it has written
// the answer to the last: a peer that doesn't read its answers stops being
// read from, and nothing piles up here.
func serve(in io.Reader, out io.Writer, capture capturer) error {
	f := newFrames(in, out)
	for {
		message, err := f.read()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, errFrameTooLong) {
			// What follows is no frame, or can't be told from one.
			if b, err := response(nullID, nil, rpcError(jsonrpc2.CodeParseError, "%v", err)); err == nil {
				_ = f.write(b)
			}
		}
		if err != nil {
			return err
		}
		b, err := answer(message, capture)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := f.write(b); err != nil {
			return fmt.Errorf("can't write an answer: %w", err)
		}
	}
}

// answer returns the message that answers a message, nil where none is due.
func answer(message []byte, capture capturer) ([]byte, error) {
	r, wrong := parseRequest(message)
	if r.id == nil {
		return nil, nil // every method only asks, and a notification wants no answer
	}
	var result any
	if wrong == nil {
		result, wrong = call(r, capture)
	}
	if wrong != nil {
		return response(r.id, nil, wrong)
	}
	return response(r.id, result, nil)
}

func call(r request, capture capturer) (any, *jsonrpc2.Error) {
	switch r.method {
	case "initialize":
		return initialize(r.params)
	case "machineId":
		return callMachineID(r.params, capture)
	}
	return nil, rpcError(jsonrpc2.CodeMethodNotFound, "unknown method %.40q: there are initialize and machineId", r.method)
}

type initializeResult struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
}

func initialize(params map[string]jsontext.Value) (any, *jsonrpc2.Error) {
	asked := params["protocol"]
	if asked.Kind() != '0' {
		return nil, rpcError(jsonrpc2.CodeInvalidParams, "params.protocol must be a number; this sidecar speaks protocol %d", protocol)
	}
	if number, err := strconv.ParseFloat(string(asked), 64); err != nil || number != protocol {
		wrong := rpcError(jsonrpc2.CodeInvalidParams,
			"protocol %.20s is not spoken here: this is %s %s, which speaks protocol %d; use the package and the sidecar of one release",
			asked, name, version.Version, protocol)
		wrong.SetError(map[string]any{"code": "unsupported_protocol", "supported": protocol})
		return nil, wrong
	}
	// Last, so that a later protocol's client is told of the protocol.
	if wrong := onlyMembers(params, "protocol"); wrong != nil {
		return nil, wrong
	}
	return initializeResult{Name: name, Version: version.Version, Protocol: protocol}, nil
}

func callMachineID(params map[string]jsontext.Value, capture capturer) (any, *jsonrpc2.Error) {
	if wrong := onlyMembers(params, "scheme", "appId"); wrong != nil {
		return nil, wrong
	}
	scheme := machine.DefaultScheme
	if value, ok := params["scheme"]; ok {
		text, err := readString(value)
		if err != nil {
			return nil, rpcError(jsonrpc2.CodeInvalidParams, "params.scheme must be a string")
		}
		if scheme, err = machine.ParseScheme(text); err != nil {
			return nil, identityError(err)
		}
	}
	var appID string
	if value, ok := params["appId"]; ok {
		var err error
		if appID, err = readString(value); err != nil {
			return nil, rpcError(jsonrpc2.CodeInvalidParams, "params.appId must be a string")
		}
	}
	captured := capture(scheme)
	id, err := captured.ID(scheme, appID)
	if err != nil {
		return nil, identityError(err)
	}
	return id, nil
}

// identityError is what a request is answered with for which there is no id.
func identityError(err error) *jsonrpc2.Error {
	var e *machine.Error
	if !errors.As(err, &e) {
		return rpcError(jsonrpc2.CodeInternalError, "%v", err)
	}
	if e.Code != machine.CodeNoMachineID {
		return rpcError(jsonrpc2.CodeInvalidParams, "%s", e.Message)
	}
	wrong := rpcError(codeNoMachineID, "%s", e.Message)
	wrong.SetError(map[string]any{"code": e.Code, "tried": e.Tried})
	return wrong
}

// onlyMembers refuses members that a method doesn't know: more likely a
// mistake than something to pass over.
func onlyMembers(params map[string]jsontext.Value, known ...string) *jsonrpc2.Error {
	for member := range params {
		if !slices.Contains(known, member) {
			return rpcError(jsonrpc2.CodeInvalidParams, "unknown member %.40q of params: known are %s", member, strings.Join(known, ", "))
		}
	}
	return nil
}
