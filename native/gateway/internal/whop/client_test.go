package whop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
)

func TestAddressOfTheServer(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.whop.com/api/v1":       "api.whop.com:443",
		"http://localhost/api/v1":           "localhost:80",
		"http://[::1]/api/v1":               "[::1]:80",
		"https://[2001:db8::1]:8443/api/v1": "[2001:db8::1]:8443",
	} {
		base, err := url.Parse(text)
		require.NoError(t, err)
		assert.Equal(t, want, New(Config{Base: base, Metrics: noMetrics{}, Log: gatewaytest.DiscardLog()}).client.Addr)
	}
}

// An HTTP client's error about an answer that it can't parse may quote the
// answer.
func TestErrorsOfATransportQuoteNoAnswer(t *testing.T) {
	quoting := errors.New(`invalid header value "` + gatewaytest.PersonalMark + `"`)
	assert.Equal(t, errNotHTTP, loggable(quoting))
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	assert.Equal(t, fmt.Errorf("x: %w", refused), loggable(fmt.Errorf("x: %w", refused)))
	assert.Equal(t, fasthttp.ErrTimeout, loggable(fasthttp.ErrTimeout))
}

// A caller's deadline ends a call to a Whop that does not answer, even if it is
// sooner than the timeout.
func TestDeadlineOfTheCaller(t *testing.T) {
	gone := make(chan struct{})
	w := answering(t, func(*http.Request) (int, string) { <-gone; return 200, "" })
	w.timeout = time.Hour
	t.Cleanup(func() { close(gone) }) // before the server is closed
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, _, err := w.Products(ctx); ended <- err }()
	select {
	case err := <-ended:
		assertKind(t, timeout, err, "")
	case <-time.After(20 * time.Second):
		require.Fail(t, "the call goes on")
	}
}
