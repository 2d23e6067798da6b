//go:build linux

package main

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// poller serves many connections from one thread, with one read and one write a
// message. What measures must cost little beside what is measured, and Go's own
// network poller costs more.
type poller struct {
	epoll int
	peers map[int32]*peer
}

// peer is one connection of a poller.
type peer struct {
	fd     int
	buffer []byte // what was read of a message that is not complete
	sent   time.Time
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &poller{epoll, map[int32]*peer{}}, err
}

func (p *poller) close() {
	for _, c := range p.peers {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(p.epoll)
}

// add takes a connection over.
func (p *poller) add(conn net.Conn) (*peer, error) {
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	c := &peer{fd: fd}
	p.peers[int32(fd)] = c
	return c, unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (p *poller) drop(c *peer) {
	delete(p.peers, int32(c.fd))
	_ = unix.Close(c.fd)
}

var errClosed = errors.New("the connection was closed")

// wait hands each connection that has something to read to a function, until the
// time is up. The function's error ends it.
func (p *poller) wait(limit time.Duration, readable func(*peer) error) error {
	events := make([]unix.EpollEvent, 64)
	n, err := unix.EpollWait(p.epoll, events, int(limit.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for _, e := range events[:max(n, 0)] {
		if c := p.peers[e.Fd]; c != nil {
			if err := readable(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// read adds what has arrived to the buffer.
func (c *peer) read() error {
	if cap(c.buffer)-len(c.buffer) < 4096 {
		c.buffer = append(make([]byte, 0, 2*cap(c.buffer)+8192), c.buffer...)
	}
	n, err := unix.Read(c.fd, c.buffer[len(c.buffer):cap(c.buffer)])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errClosed
	}
	c.buffer = c.buffer[:len(c.buffer)+n]
	return nil
}

// write sends a message, which is short enough to be taken at once.
func (c *peer) write(message []byte) error {
	n, err := unix.Write(c.fd, message)
	if err == nil && n < len(message) {
		err = errors.New("a message was not taken at once")
	}
	return err
}

var (
	endOfHead     = []byte("\r\n\r\n")
	contentLength = []byte("\r\ncontent-length:")
)

// message returns the length of the complete message in the buffer, or 0.
func (c *peer) message() (int, error) {
	head := bytes.Index(c.buffer, endOfHead)
	if head < 0 {
		return 0, nil
	}
	length := 0
	if at := bytes.Index(bytes.ToLower(c.buffer[:head]), contentLength); at >= 0 {
		value, _, _ := bytes.Cut(c.buffer[at+len(contentLength):], []byte("\r\n"))
		var err error
		if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
			return 0, err
		}
	}
	if whole := head + len(endOfHead) + length; len(c.buffer) >= whole {
		return whole, nil
	}
	return 0, nil
}
