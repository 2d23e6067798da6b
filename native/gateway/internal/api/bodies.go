package api

import (
	"container/list"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/whop-license/whop-license/native/gateway/internal/conns"
)

// errNoRoom says that large bodies have used up their memory.
var errNoRoom = errors.New("body: too many large bodies are being received")

// bodies bounds the memory for request bodies, whoever sends them and however
// slowly.
type bodies struct {
	room *semaphore.Weighted

	mu       sync.Mutex
	arriving list.List // of *arrival, the longest arriving first
}

// arrival is a body that is arriving.
type arrival struct {
	by      *http.ResponseController
	givenUp bool
}

func newBodies() *bodies { return &bodies{room: semaphore.NewWeighted(bodiesAtOnce)} }

// begin notes that a body is arriving. It is given up if others need its place; end
// reports whether it was.
func (b *bodies) begin(w http.ResponseWriter) (end func() (givenUp bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := &arrival{by: http.NewResponseController(w)}
	e := b.arriving.PushBack(a)
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.arriving.Remove(e)
		return a.givenUp
	}
}

// giveUp ends the reading of the body that has been arriving longest, or reports
// that there is none.
func (b *bodies) giveUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.arriving.Front()
	if e == nil {
		return false
	}
	a := b.arriving.Remove(e).(*arrival)
	a.givenUp = true
	_ = a.by.SetReadDeadline(time.Now())
	return true
}

// read returns a request's body, of at most limit bytes. The caller must call
// done, which is never nil, once the request is answered: until then, the body's
// memory is taken, and its connection is kept. After an error, the connection is
// closed.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, done func(), err error) {
	end := b.begin(w)
	body, done, err = b.receive(w, r, limit)
	if end() && err == nil {
		// It had just arrived. The server took the deadline for the connection's end, and
		// would cancel each further request on it, too.
		w.Header().Set("Connection", "close")
		return nil, done, os.ErrDeadlineExceeded
	}
	return body, done, err
}

func (b *bodies) receive(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, done func(), err error) {
	done = func() {}
	limited := http.MaxBytesReader(w, r.Body, limit)
	body, err = io.ReadAll(io.LimitReader(limited, smallBody+1))
	if err != nil {
		return nil, done, err
	}
	if len(body) <= smallBody {
		return body, conns.Busy(r.Context()), nil
	}
	if !b.room.TryAcquire(limit) {
		// The server would wait for the rest of the body before it closes the connection.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
		return nil, done, errNoRoom
	}
	rest, err := io.ReadAll(limited)
	if err != nil {
		return nil, func() { b.room.Release(limit) }, err
	}
	answered := conns.Busy(r.Context())
	return append(body, rest...), func() { answered(); b.room.Release(limit) }, nil
}
