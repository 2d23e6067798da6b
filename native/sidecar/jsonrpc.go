package main

import (
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/whop-license/whop-license/shared/jsonobject"
)

// A request is a JSON-RPC 2.0 request. jsonrpc2's own type can't hold an id
// that is null, negative or fractional, and doesn't detect duplicate members.
type request struct {
	id     jsontext.Value // as received; nil for a notification
	method string
	params map[string]jsontext.Value
}

var nullID = jsontext.Value("null")

func rpcError(code int64, format string, args ...any) *jsonrpc2.Error {
	return &jsonrpc2.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// parseRequest reads a message. If the message isn't a request, parseRequest returns the
// error to respond with, and a request that holds only the id to respond to, which is
// null if the message has no usable one.
func parseRequest(message []byte) (request, *jsonrpc2.Error) {
	if !jsontext.Value(message).IsValid(jsontext.AllowDuplicateNames(true)) {
		return request{id: nullID}, rpcError(jsonrpc2.CodeParseError, "the frame doesn't hold one JSON text in UTF-8")
	}
	invalid := func(id jsontext.Value, format string, args ...any) (request, *jsonrpc2.Error) {
		if id == nil {
			id = nullID
		}
		return request{id: id}, rpcError(jsonrpc2.CodeInvalidRequest, format, args...)
	}
	switch jsontext.Value(message).Kind() {
	case '{':
	case '[':
		return invalid(nil, "batches are not supported: send each request in a frame of its own")
	default:
		return invalid(nil, "a request must be a JSON object")
	}
	members, err := readObject(message)
	if err != nil {
		return invalid(nil, "%v", err)
	}

	id, hasID := members["id"]
	if hasID && id.Kind() != '"' && id.Kind() != '0' && id.Kind() != 'n' {
		return invalid(nil, "id must be a string, a number or null")
	}
	if version, _ := readString(members["jsonrpc"]); version != "2.0" {
		return invalid(id, `jsonrpc must be "2.0"`)
	}
	r := request{id: id}
	if r.method, err = readString(members["method"]); err != nil {
		return invalid(id, "method must be a string")
	}
	if params, ok := members["params"]; ok {
		if params.Kind() != '{' {
			return r, rpcError(jsonrpc2.CodeInvalidParams, "params must be an object")
		}
		if r.params, err = readObject(params); err != nil {
			return r, rpcError(jsonrpc2.CodeInvalidParams, "params: %v", err)
		}
	}
	return r, nil
}

// response returns the message that responds to a request.
func response(id jsontext.Value, result any, wrong *jsonrpc2.Error) ([]byte, error) {
	return json.Marshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  any             `json:"result,omitempty"`
		Error   *jsonrpc2.Error `json:"error,omitempty"`
	}{"2.0", json.RawMessage(id), result, wrong})
}

// readObject returns the members of a JSON object. A duplicate member is an
// error, because a sender and a reader may disagree on which one counts.
func readObject(object []byte) (map[string]jsontext.Value, error) {
	members := map[string]jsontext.Value{}
	err := jsonobject.Read(object, func(d *jsontext.Decoder, name string) error {
		if _, twice := members[name]; twice {
			return fmt.Errorf("the member %.40q is given twice", name)
		}
		value, err := d.ReadValue()
		members[name] = value.Clone()
		return err
	}, jsontext.AllowDuplicateNames(true)) // detected above, where the error can name it
	if err != nil {
		return nil, err
	}
	return members, nil
}

// readString returns the text of a JSON string.
func readString(value jsontext.Value) (string, error) {
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err
}
