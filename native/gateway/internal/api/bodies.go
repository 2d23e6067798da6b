package api

import (
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// errNoRoom says that large bodies have used up their memory.
var errNoRoom = errors.New("body: too many large bodies are being received")

// bodies bounds the memory for request bodies, whoever sends them and however
// slowly.
type bodies struct{ room *semaphore.Weighted }

func newBodies() *bodies { return &bodies{semaphore.NewWeighted(bodiesAtOnce)} }

// read returns a request's body, of at most limit bytes. The caller must call
// done, which is never nil, to release its memory. After an error, the
// connection is closed.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, done func(), err error) {
	done = func() {}
	limited := http.MaxBytesReader(w, r.Body, limit)
	body, err = io.ReadAll(io.LimitReader(limited, smallBody+1))
	if err != nil || len(body) <= smallBody {
		return body, done, err
	}
	if !b.room.TryAcquire(limit) {
		// The server would wait for the rest of the body before it closes the connection.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		return nil, done, errNoRoom
	}
	done = func() { b.room.Release(limit) }
	rest, err := io.ReadAll(limited)
	return append(body, rest...), done, err
}
