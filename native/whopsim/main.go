// Command whopsim simulates the part of Whop's API that license checks use:
// API v2's validate_license, and the Current API's (v1) reading and updating
// of a membership. It is for demos, tests and development: it has routes that
// change its state, and misbehaves on request.
//
// The URL it listens on is its first line of output. See README.md for the
// flags, the memberships file, the faults and the control routes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/whop-license/whop-license/shared/version"
)

// shutdownGrace is how long in-flight requests may take to finish after the
// program was told to stop. Connections held by a fault or the latency are
// released at once.
const shutdownGrace = 5 * time.Second

func main() {
	var cfg config
	kong.Parse(&cfg,
		kong.Name("whopsim"),
		kong.Description("Simulates the license part of Whop's API, v2 and v1, for demos, tests and development."),
		kong.Vars{"version": "whopsim " + version.Version})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "whopsim:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. The URL is written to out as soon as it
// answers, warnings to log.
func run(ctx context.Context, cfg config, out, log io.Writer) error {
	sim, err := newSimulator(cfg)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	addr := listener.Addr().(*net.TCPAddr)
	if !addr.IP.IsLoopback() {
		fmt.Fprintf(log, "whopsim: warning: %s is not a loopback address; the /sim/ routes need no key, so anyone who reaches it can change its state\n", addr)
	}

	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	server := &http.Server{
		Handler:           sim.handler(),
		BaseContext:       func(net.Listener) context.Context { return held },
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      3 * maxHold,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	if _, err := fmt.Fprintln(out, "http://"+printable(addr)); err != nil {
		return errors.Join(err, listener.Close())
	}

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	release()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	sim.webhooks.close()
	return nil
}

// printable returns an address that a client on this machine can connect to. An
// unspecified address stands for all of them, so it becomes a loopback address.
func printable(addr *net.TCPAddr) string {
	shown := *addr
	if addr.IP.IsUnspecified() {
		shown.IP = net.IPv6loopback
		if addr.IP.To4() != nil {
			shown.IP = net.IPv4(127, 0, 0, 1)
		}
	}
	return shown.String()
}
