//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// standIn answers look-ups as Whop does, from memory and with the least work.
// The real Whop does not share the gateway's cores, and the simulator's journal
// and faults would cost about as much of them as the gateway itself.
type standIn struct {
	listener net.Listener
	answers  map[string][]byte
}

func newStandIn() (*standIn, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &standIn{listener, map[string][]byte{}}
	for n := range licenses {
		id := fmt.Sprintf("mem_Bench%06d", n)
		body := fmt.Sprintf(`{"id":"%s","status":"active","license_key":"%s","metadata":{"HWID":"%s"},"product":{"id":"prod_bench","title":"A product"},"plan":{"id":"plan_bench"},"company":{"id":"biz_bench","title":"A company"},"user":{"id":"user_%d","username":"customer%d","name":"A Customer","email":"customer%d@example.com"},"manage_url":"https://whop.com/billing/manage/%s","cancel_at_period_end":false,"created_at":"2025-01-01T00:00:00Z","renewal_period_end":"2026-01-01T00:00:00Z"}`, id, key(n), hwid(n), n, n, n, id)
		answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		s.answers[key(n)], s.answers[id] = answer, answer
	}
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	go s.serve(poller)
	return s, nil
}

func (s *standIn) url() string { return "http://" + s.listener.Addr().String() }
func (s *standIn) stop()       { _ = s.listener.Close() }

// strangersKey is what the license keys begin with that don't exist.
const strangersKey = "STRANGER-"

var unknown = func() []byte {
	const body = `{"error":{"type":"not_found","message":"No such Membership found with the provided ID"}}`
	return fmt.Appendf(nil, "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}()

var bearer = []byte("Bearer " + apiKey + "\r\n")

// serve answers GETs without a body until it is stopped. What it doesn't know
// ends the connection, so that a wrong call can't go unnoticed.
func (s *standIn) serve(p *poller) {
	defer p.close()
	arrived := make(chan net.Conn)
	go func() {
		defer close(arrived)
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			arrived <- conn
		}
	}()
	for {
		limit := time.Millisecond
		select {
		case conn, open := <-arrived:
			if !open {
				return
			}
			if _, err := p.add(conn); err != nil {
				return
			}
		default:
			limit = 20 * time.Millisecond // new connections are taken between
		}
		_ = p.wait(limit, func(c *peer) error {
			if s.answer(c) != nil {
				p.drop(c)
			}
			return nil
		})
	}
}

func (s *standIn) answer(c *peer) error {
	if err := c.read(); err != nil {
		return err
	}
	n, err := c.message()
	if n == 0 || err != nil {
		return err
	}
	id, _, _ := bytes.Cut(bytes.TrimPrefix(c.buffer, []byte("GET /api/v1/memberships/")), []byte(" "))
	answer := s.answers[string(id)]
	if bytes.HasPrefix(id, []byte(strangersKey)) {
		answer = unknown
	}
	if answer == nil || !bytes.Contains(c.buffer[:n], bearer) {
		return errors.New("a call that Whop would not answer")
	}
	c.buffer = c.buffer[:0]
	return c.write(answer)
}
