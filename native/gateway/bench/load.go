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
	"sync"
	"time"
)

// load is what a run of requests came to.
type load struct {
	requests    int
	perSecond   float64
	p99         time.Duration
	cpu, simCPU time.Duration
}

// drive sends requests over keep-alive connections, each as soon as the last was
// answered, for the given time. It speaks just enough HTTP to cost little beside
// what it measures.
func drive(addr string, connections int, period time.Duration, request func(n int) []byte) (load, error) {
	var wg sync.WaitGroup
	times := make([][]time.Duration, connections)
	errs := make([]error, connections)
	begin := time.Now()
	end := begin.Add(period)
	for c := range connections {
		wg.Go(func() {
			times[c], errs[c] = driveOne(addr, end, func(n int) []byte { return request(n*connections + c) })
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if err := errors.Join(errs...); err != nil {
		return load{}, err
	}
	all := slices.Concat(times...)
	if len(all) == 0 {
		return load{}, errors.New("no request was answered")
	}
	slices.Sort(all)
	return load{requests: len(all), perSecond: float64(len(all)) / took.Seconds(), p99: all[len(all)*99/100]}, nil
}

func driveOne(addr string, end time.Time, request func(n int) []byte) (times []time.Duration, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n := 0; ; n++ {
		start := time.Now()
		if start.After(end) {
			return times, nil
		}
		if err := exchange(conn, r, request(n)); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
}

// exchange sends a request and reads the answer, which must be a 201.
func exchange(conn net.Conn, r *bufio.Reader, request []byte) error {
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	good, line := bytes.HasPrefix(status, []byte("HTTP/1.1 201")), string(status)
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
	if !good {
		body, _ := io.ReadAll(io.LimitReader(r, int64(length)))
		return fmt.Errorf("answered %q %s", line, body)
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
