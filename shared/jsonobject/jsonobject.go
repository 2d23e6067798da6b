// Package jsonobject reads one JSON object strictly, member by member, without
// reflection. Everything here that takes a JSON object from outside reads it
// with this package.
//
// It is not in an internal folder because the programs in native/ use it too.
package jsonobject

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// The errors of [Read]. None of them quotes the data.
var (
	ErrNotObject = errors.New("not a JSON object")
	ErrNotJSON   = errors.New("not JSON")
	ErrTrailing  = errors.New("more than one JSON object")
)

// A Member reads exactly one value from d: that of the member called name.
type Member func(d *jsontext.Decoder, name string) error

// Read reads data, which must be one JSON object and nothing else, and calls
// member for each of its members in turn. It returns [ErrNotObject],
// [ErrNotJSON], [ErrTrailing], or the first error of member.
//
// Without options it refuses names that repeat and malformed UTF-8, at any
// depth, because different readers take them to mean different things.
func Read(data []byte, member Member, options ...jsontext.Options) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data), options...) // a Buffer is read in place
	if d.PeekKind() != '{' {
		return ErrNotObject
	}
	if err := ReadMembers(d, member); err != nil {
		var syntactic *jsontext.SyntacticError
		if errors.As(err, &syntactic) || errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrNotJSON
		}
		return err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return ErrTrailing
	}
	return nil
}

// ReadMembers reads the object that d is about to read, such as a member of
// another object. It returns the first error of d or of member.
func ReadMembers(d *jsontext.Decoder, member Member) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := member(d, name.String()); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}
