package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// healthTime is how long a gateway may take to answer whether it is ready.
const healthTime = 5 * time.Second

// runHealthcheck asks the gateway that runs with the same settings on this
// machine whether it is ready, for images that contain no HTTP client.
func runHealthcheck(ctx context.Context, args []string, _ func(string) string, out, errOut io.Writer) int {
	var s settings
	if _, exit := parse(&s, "healthcheck", "Asks the gateway that runs with the same settings on this machine whether it is ready. Exits with 1 if it is not.", args, out, errOut); exit >= 0 {
		return exit
	}
	if err := askReady(ctx, s.Listen, s.TLSCert != "" || len(s.ACMEDomain) > 0); err != nil {
		fmt.Fprintf(errOut, "whop-license-gateway: healthcheck: %v\n", err)
		return 1
	}
	fmt.Fprintln(out, "ready")
	return 0
}

func askReady(ctx context.Context, listen string, https bool) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return fmt.Errorf("--listen: %q names no port to ask", listen)
	}
	if ip, _ := netip.ParseAddr(host); host == "" || ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if https {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	// The certificate is for the public name, and this never leaves the machine.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway is not ready (status %d); its log says why", resp.StatusCode)
	}
	return nil
}
