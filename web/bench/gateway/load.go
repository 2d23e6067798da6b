//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
)

// load is what a run of requests came to.
type load struct {
	requests  int
	perSecond float64
	p99       time.Duration
}

// patience is how long an answer may take before the benchmark is given up.
const patience = 30 * time.Second

// drive sends requests over keep-alive connections, each as soon as the last was
// answered, for the given time.
func drive(addr string, connections int, period time.Duration, request func(n int) []byte) (load, error) {
	p, err := newPoller()
	if err != nil {
		return load{}, err
	}
	defer p.close()
	var peers []*peer
	for range connections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return load{}, err
		}
		c, err := p.add(conn)
		if err != nil {
			return load{}, err
		}
		peers = append(peers, c)
	}
	begin, asked := time.Now(), 0
	ask := func(c *peer) error {
		asked++
		c.sent = time.Now()
		return c.write(request(asked))
	}
	for _, c := range peers {
		if err := ask(c); err != nil {
			return load{}, err
		}
	}
	times := make([]time.Duration, 0, 1<<16)
	end := begin.Add(period)
	for len(times) < asked {
		if time.Since(end) > patience {
			return load{}, errors.New("some requests were not answered")
		}
		err := p.wait(time.Second, func(c *peer) error {
			if err := c.read(); err != nil {
				return err
			}
			n, err := c.message()
			if n == 0 || err != nil {
				return err
			}
			if !bytes.HasPrefix(c.buffer, []byte("HTTP/1.1 201")) {
				return fmt.Errorf("answered %q", c.buffer[:n])
			}
			c.buffer = c.buffer[:0]
			now := time.Now()
			times = append(times, now.Sub(c.sent))
			if now.Before(end) {
				return ask(c)
			}
			return nil
		})
		if err != nil {
			return load{}, err
		}
	}
	took := time.Since(begin)
	slices.Sort(times)
	return load{len(times), float64(len(times)) / took.Seconds(), times[len(times)*99/100]}, nil
}

// exchange sends a request and reads the answer, which must be a 201.
func exchange(conn net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	var refused string
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 201")) {
		refused = string(status)
	}
	length := -1
	for {
		header, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(header) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(header, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without a length")
	}
	if refused != "" {
		body, _ := io.ReadAll(io.LimitReader(r, int64(length)))
		return fmt.Errorf("answered %q %s", refused, body)
	}
	_, err = r.Discard(length)
	return err
}

// hold opens many connections, uses each, and when all are open each again. It
// returns how many were answered both times.
func hold(p *program, connections int) (held int, err error) {
	open := make([]net.Conn, 0, connections)
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for n := range connections {
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			return 0, fmt.Errorf("connection %d: %w (the limit of open files must be above %d)", n, err, connections)
		}
		open = append(open, c)
		if err := c.SetDeadline(time.Now().Add(4 * patience)); err != nil {
			return 0, err
		}
		if err := exchange(c, bufio.NewReader(c), request(n)); err != nil {
			return 0, fmt.Errorf("connection %d: %w", n, err)
		}
	}
	for n, c := range open {
		if err := exchange(c, bufio.NewReader(c), request(n)); err == nil {
			held++
		}
	}
	return held, nil
}
