package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/whop-license/whop-license/native/sidecar/internal/helper"
	"github.com/whop-license/whop-license/shared/machine"
	"github.com/whop-license/whop-license/shared/version"
)

// protocol is the protocol version that this sidecar speaks.
const protocol = 1

// codeNoMachineID is the JSON-RPC code of machine.CodeNoMachineID.
const codeNoMachineID = -32001

// codeRefused is the JSON-RPC code for an extension that may not use this
// program.
const codeRefused = -32002

// pagePrefix is the prefix of pages' app ids; an origin follows.
const pagePrefix = "web:"

// A capturer reads what a scheme needs from the system.
type capturer func(machine.Scheme) machine.Captured

// A service answers requests.
type service struct {
	capture capturer
	// pagesOnly is set for the extension that every site may use: then the service
	// gives only ids for a page's origin.
	pagesOnly bool
}

// serve responds on out to the requests from in, until in ends. It returns nil
// if in ended between two frames. It reads a request only when it has written
// the response to the previous one, so that nothing accumulates here if the
// peer doesn't read.
func (s service) serve(in io.Reader, out io.Writer) error {
	f := newFrames(in, out)
	for {
		message, err := f.read()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, errFrameTooLong) {
			// There is no way to find the next frame.
			if b, err := response(nullID, nil, rpcError(jsonrpc2.CodeParseError, "%v", err)); err == nil {
				_ = f.write(b)
			}
		}
		if err != nil {
			return err
		}
		b, err := s.respond(message)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := f.write(b); err != nil {
			return fmt.Errorf("can't write a response: %w", err)
		}
	}
}

func startedByBrowser(args []string) bool {
	_, ok := helper.Caller(args)
	return ok
}

// serveExtension serves the extension for which a browser started the program.
// An extension that may not use the program learns why from the answer to its
// first request.
func serveExtension(args []string, in io.Reader, out io.Writer, capture capturer) error {
	id, _ := helper.Caller(args)
	program, err := os.Executable()
	if err != nil {
		return err
	}
	refused := helper.CheckCaller(program, id)
	if refused == nil {
		extension, err := helper.ParseExtension(id)
		return service{capture: capture, pagesOnly: err != nil || extension.Generic()}.serve(in, out)
	}
	f := newFrames(in, out)
	if message, err := f.read(); err == nil {
		r, _ := parseRequest(message)
		wrong := rpcError(codeRefused, "%v", refused)
		wrong.SetError(map[string]any{"code": "extension_refused"})
		if b, err := response(r.id, nil, wrong); err == nil && r.id != nil {
			_ = f.write(b)
		}
	}
	return refused
}

// respond returns the response to a message, or nil if the message needs none.
func (s service) respond(message []byte) ([]byte, error) {
	r, wrong := parseRequest(message)
	if r.id == nil {
		return nil, nil // a notification, and no method has an effect
	}
	var result any
	if wrong == nil {
		result, wrong = s.dispatch(r)
	}
	if wrong != nil {
		return response(r.id, nil, wrong)
	}
	return response(r.id, result, nil)
}

func (s service) dispatch(r request) (any, *jsonrpc2.Error) {
	switch r.method {
	case "initialize":
		return initialize(r.params)
	case "machineId":
		return s.machineID(r.params)
	}
	return nil, rpcError(jsonrpc2.CodeMethodNotFound, "unknown method %.40q: use initialize or machineId", r.method)
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
			"protocol %.20s is not supported: this is %s %s, which speaks protocol %d; use the package and the sidecar from the same release",
			asked, name, version.Version, protocol)
		wrong.SetError(map[string]any{"code": "unsupported_protocol", "supported": protocol})
		return nil, wrong
	}
	// This comes last, so that a client with a newer protocol learns about the
	// protocol first.
	if wrong := onlyMembers(params, "protocol"); wrong != nil {
		return nil, wrong
	}
	return initializeResult{Name: name, Version: version.Version, Protocol: protocol}, nil
}

func (s service) machineID(params map[string]jsontext.Value) (any, *jsonrpc2.Error) {
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
			return nil, machineIDError(err)
		}
	}
	var appID string
	if value, ok := params["appId"]; ok {
		var err error
		if appID, err = readString(value); err != nil {
			return nil, rpcError(jsonrpc2.CodeInvalidParams, "params.appId must be a string")
		}
	}
	if s.pagesOnly && (scheme != machine.AppScoped || !strings.HasPrefix(appID, pagePrefix)) {
		return nil, rpcError(jsonrpc2.CodeInvalidParams,
			"a page gets only an id for its own origin: request the scheme %s with an appId that begins with %s", machine.AppScoped, pagePrefix)
	}
	captured := s.capture(scheme)
	id, err := captured.ID(scheme, appID)
	if err != nil {
		return nil, machineIDError(err)
	}
	return id, nil
}

// machineIDError returns the error to respond with if there is no machine id.
func machineIDError(err error) *jsonrpc2.Error {
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

// onlyMembers rejects members that a method doesn't know, because they are
// probably mistakes.
func onlyMembers(params map[string]jsontext.Value, known ...string) *jsonrpc2.Error {
	for member := range params {
		if !slices.Contains(known, member) {
			return rpcError(jsonrpc2.CodeInvalidParams, "params has the unknown member %.40q; it may have %s", member, strings.Join(known, ", "))
		}
	}
	return nil
}
