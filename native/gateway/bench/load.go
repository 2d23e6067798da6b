package main

import (
	"bufio"
	"bytes"
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
	perSecond float64
	p99       time.Duration
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
		wg.Add(1)
		go func() {
			defer wg.Done()
			times[c], errs[c] = driveOne(addr, end, func(n int) []byte { return request(n*connections + c) })
		}()
	}
	wg.Wait()
	took := time.Since(begin)
	for _, err := range errs {
		if err != nil {
			return load{}, err
		}
	}
	all := slices.Concat(times...)
	if len(all) == 0 {
		return load{}, fmt.Errorf("no request was answered")
	}
	slices.Sort(all)
	return load{float64(len(all)) / took.Seconds(), all[len(all)*99/100]}, nil
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
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	good := bytes.HasPrefix(status, []byte("HTTP/1.1 201"))
	line := string(status)
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
		return fmt.Errorf("an answer without a length")
	}
	if !good {
		body, _ := io.ReadAll(io.LimitReader(r, int64(length)))
		return fmt.Errorf("answered %q %s", line, body)
	}
	_, err = r.Discard(length)
	return err
}
