//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// memoryBound is what a gateway may take, in MB, whatever strangers do to it.
const memoryBound = 256

// besieged is a gateway that strangers hold connections to.
type besieged struct {
	*program
	metrics string
	held    []net.Conn
}

// besiege measures the memory of a gateway under each thing that strangers do, and
// whether a customer is answered meanwhile.
func (b *bench) besiege(whop string) error {
	stalled := fmt.Sprintf("POST /api/v2/memberships/%s/validate_license HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n%s", key(1), strings.Repeat(" ", 64_999))
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	for _, s := range []struct {
		what                   string
		connections, addresses int
		text                   string
	}{
		{"6,000 stalled bodies of one address", 6000, 1, stalled},
		{"12,000 stalled bodies of 24 addresses", 12_000, 24, stalled},
		{"20,000 idle connections of 40 addresses", 20_000, 40, ""},
	} {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		metrics := free.Addr().String()
		_ = free.Close()
		p, err := b.startGateway(whop, "--metrics-listen", metrics)
		if err != nil {
			return err
		}
		g := &besieged{program: p, metrics: metrics}
		count := min(s.connections, int(files.Cur)-300)
		err = g.siege(count, s.addresses, s.text)
		peak := p.peakMemory()
		g.leave()
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		b.rows = append(b.rows, row{"memory under " + s.what, fmt.Sprintf("%.0f MB", peak), fmt.Sprintf("of %d MB", memoryBound), peak / memoryBound, 1, true})
		if count < s.connections {
			b.notes = append(b.notes, fmt.Sprintf("The limit of open files allows %d of the %s.", count, s.what))
		}
	}
	return nil
}

// siege opens connections, and asks as a customer once they are open.
func (g *besieged) siege(connections, addresses int, text string) error {
	for n := range connections {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%addresses))}, Timeout: patience}
		c, err := d.Dial("tcp", g.addr())
		if err != nil {
			return fmt.Errorf("connection %d: %w", n, err)
		}
		g.held = append(g.held, c)
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // nobody may be reading
		_, _ = io.WriteString(c, text)
	}
	c, err := net.DialTimeout("tcp", g.addr(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if err := exchange(c, bufio.NewReader(c), request(1)); err != nil {
		return fmt.Errorf("a customer was not answered: %w", err)
	}
	resp, err := http.Get("http://" + g.metrics + "/metrics")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (g *besieged) leave() {
	for _, c := range g.held {
		_ = c.Close()
	}
	g.stop()
}
