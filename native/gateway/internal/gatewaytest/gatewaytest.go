// Package gatewaytest holds what the tests of several of the gateway's packages
// share. No program imports it.
package gatewaytest

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// Secrets and personal data in the tests carry these marks, so that what must
// not be logged or answered can be found wherever it ends up. KeyMark is in the
// middle of a license key, which a shortened one leaves out.
const (
	KeyMark      = "KEYMIDDLE"
	MachineMark  = "machine-mark-"
	PersonalMark = "Person-Mark"
)

// Key returns a license key that is named after what a test does with it.
func Key(name string) string { return "A1B2-" + name + "-" + KeyMark + "-C3D4" }

// Machine returns the machine id of the nth machine.
func Machine(n int) string { return fmt.Sprintf("%s%04d", MachineMark, n) }

// Customer and Stranger name licenses: those that Whop knows, and those that an
// attacker made up.
func Customer(n int) string { return fmt.Sprint("customer", n) }

// Stranger is described at [Customer].
func Stranger(n int) string { return fmt.Sprint("stranger", n) }

// DiscardLog returns a log that discards everything.
func DiscardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Buffer is a [bytes.Buffer] for several goroutines.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends to the buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Eventually fails the test unless ok becomes true within half a minute.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 10*time.Millisecond, what)
}

// SignedHeaders returns the headers of a webhook signed with a key, as name and
// value in turn.
func SignedHeaders(t testing.TB, key []byte, id string, at time.Time, body string) []string {
	t.Helper()
	signer, err := standardwebhooks.NewWebhookRaw(key)
	require.NoError(t, err)
	signature, err := signer.Sign(id, at, []byte(body))
	require.NoError(t, err)
	return []string{"webhook-id", id, "webhook-timestamp", strconv.FormatInt(at.Unix(), 10), "webhook-signature", signature}
}

// FreeAddress returns a loopback address for a program that can't choose a port
// itself. A connection is left in TIME-WAIT at its port, so that for a minute
// the system gives the port to nobody who asks for any port, but a server that
// asks for this one gets it: github.com/Yelp/ephemeral-port-reserve.
func FreeAddress(t testing.TB) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer free.Close()
	client, err := net.Dial("tcp", free.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := free.Accept()
	require.NoError(t, err)
	require.NoError(t, server.Close()) // first, as TIME-WAIT is on the side that closes first
	return free.Addr().String()
}
