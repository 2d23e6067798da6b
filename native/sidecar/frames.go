package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxFrame is the greatest length of a message that is read, in bytes.
const maxFrame = 64 << 10

// frames reads and writes messages: a 32-bit little-endian length, then that
// many bytes.
type frames struct {
	in  *bufio.Reader
	out io.Writer
	buf []byte
}

func newFrames(in io.Reader, out io.Writer) *frames {
	return &frames{in: bufio.NewReader(in), out: out}
}

var errFrameTooLong = errors.New("frame too long")

// read returns the next message, which is valid until the next read, or io.EOF if the
// input ends before a frame begins. It uses no more memory than a frame may have,
// whatever the length says.
func (f *frames) read() ([]byte, error) {
	var head [4]byte
	if n, err := io.ReadFull(f.in, head[:]); err != nil {
		if err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("input ended within a frame's length, after %d of 4 bytes", n)
		}
		return nil, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size > maxFrame {
		return nil, fmt.Errorf("%w: its length says %d bytes, and the limit is %d; a frame is a 32-bit little-endian length, then the message",
			errFrameTooLong, size, maxFrame)
	}
	f.buf = slices.Grow(f.buf[:0], int(size))[:size]
	if n, err := io.ReadFull(f.in, f.buf); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("input ended within a frame, after %d of %d bytes", n, size)
		}
		return nil, err
	}
	return f.buf, nil
}

// write sends a message in one piece.
func (f *frames) write(message []byte) error {
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(message)), uint32(len(message)))
	_, err := f.out.Write(append(frame, message...))
	return err
}
