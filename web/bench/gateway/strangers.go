//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// memoryBound is what a gateway may take, in MB, by what it holds for strangers.
	memoryBound = 256
	// memoryMax is the same where it has to close connections to keep it. The
	// documentation advises it as the unit's MemoryMax.
	memoryMax = 512
)

// h2 is how HTTP/2 begins: the client's preface, and settings that set nothing.
const h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// besieged is a gateway that strangers hold connections to.
type besieged struct {
	*program
	metrics string
	tls     *tls.Config // nil: it serves plain HTTP
	held    []net.Conn
}

// besiege measures the memory of a gateway under each thing that strangers do, and
// whether a customer is answered meanwhile.
func (b *bench) besiege(whop string) error {
	stalled := fmt.Sprintf("POST /api/v2/memberships/%s/validate_license HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n%s", key(1), strings.Repeat(" ", 64_999))
	var headers strings.Builder // of as many names as fit
	for n := range 1300 {
		fmt.Fprintf(&headers, "%c%c%c:\n", 'a'+n%26, 'a'+n/26%26, 'a'+n/676)
	}
	used := "GET /healthz HTTP/1.1\r\nHost: bench\r\n"
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	for _, s := range []struct {
		what                   string
		connections, addresses int
		text                   string
		bound                  float64
	}{
		{"6,000 stalled bodies of one address", 6000, 1, stalled, memoryBound},
		{"12,000 stalled bodies of 24 addresses", 12_000, 24, stalled, memoryBound},
		{"20,000 idle connections of 40 addresses", 20_000, 40, "", memoryBound},
		{"6,000 stalled requests of 1,300 headers of one address", 6000, 1, used + headers.String(), memoryMax},
		{"12,000 stalled requests of 1,300 headers of 24 addresses", 12_000, 24, used + headers.String(), memoryMax},
		{"20,000 idle connections of 40 addresses, each used once", 20_000, 40, used + "\r\n", memoryMax},
		{"20,000 idle connections of 40 addresses by HTTP/2", 20_000, 40, h2, memoryMax},
	} {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		metrics := free.Addr().String()
		_ = free.Close()
		args := []string{"--metrics-listen", metrics}
		g := &besieged{metrics: metrics}
		if s.text == h2 {
			var files []string
			if files, err = b.certificate(); err != nil {
				return err
			}
			g.tls = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
			args = append(args, files...)
		}
		if g.program, err = b.startGateway(whop, args...); err != nil {
			return err
		}
		count := min(s.connections, int(files.Cur)-300)
		err = g.siege(count, s.addresses, s.text)
		peak := g.peakMemory()
		g.leave()
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		b.rows = append(b.rows, row{"memory under " + s.what, fmt.Sprintf("%.0f MB", peak), fmt.Sprintf("of %.0f MB", s.bound), peak / s.bound, 1, true})
		if count < s.connections {
			b.notes = append(b.notes, fmt.Sprintf("The limit of open files allows %d of the %s.", count, s.what))
		}
	}
	return b.guess(whop)
}

// guess measures the memory of a gateway that strangers ask about license keys that
// don't exist, each from a site of its own and behind a proxy.
func (b *bench) guess(whop string) error {
	const guesses, proxies = 100_000, 32
	p, err := b.startGateway(whop, "--trusted-proxies", "127.0.0.1", "--client-limit", "300", "--license-limit", "60")
	if err != nil {
		return err
	}
	defer p.stop()
	var all errgroup.Group
	for from := range proxies {
		all.Go(func() error {
			c, err := net.Dial("tcp", p.addr())
			if err != nil {
				return err
			}
			defer c.Close()
			answers := bufio.NewReader(c)
			for n := from; n < guesses; n += proxies {
				_, _ = fmt.Fprintf(c, "POST /api/v2/memberships/%s%d/validate_license HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: 2001:%x:%x::1\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"metadata\":{}}", strangersKey, n, n>>16, n&0xffff)
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					return err
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				if resp.StatusCode != http.StatusNotFound {
					return fmt.Errorf("answered %s", resp.Status)
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return fmt.Errorf("guesses: %w", err)
	}
	peak := p.peakMemory()
	b.rows = append(b.rows, row{"memory under 100,000 unknown license keys of as many sites", fmt.Sprintf("%.0f MB", peak), fmt.Sprintf("of %d MB", memoryMax), peak / memoryMax, 1, true})
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
		if g.tls != nil {
			_ = c.SetDeadline(time.Now().Add(patience))
			encrypted := tls.Client(c, g.tls)
			if err := encrypted.Handshake(); err != nil {
				return fmt.Errorf("connection %d: %w", n, err)
			}
			c = encrypted
		}
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond)) // nobody may be reading
		_, _ = io.WriteString(c, text)
	}
	c, err := net.DialTimeout("tcp", g.addr(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if g.tls != nil {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	if err := exchange(c, bufio.NewReader(c), request(1)); err != nil {
		return fmt.Errorf("a customer was not answered: %w", err)
	}
	resp, err := http.Get("http://" + g.metrics + "/metrics")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// certificate writes a certificate, and returns the arguments that name it.
func (b *bench) certificate() ([]string, error) {
	example := httptest.NewUnstartedServer(nil)
	example.StartTLS()
	defer example.Close()
	pair := example.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return nil, err
	}
	files := []string{"--tls-cert", filepath.Join(b.dir, "cert.pem"), "--tls-key", filepath.Join(b.dir, "key.pem")}
	return files, errors.Join(
		os.WriteFile(files[1], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600),
		os.WriteFile(files[3], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
}

func (g *besieged) leave() {
	for _, c := range g.held {
		_ = c.Close()
	}
	g.stop()
}
