package main

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	maxEntries   = 1000
	maxEntryBody = 4 << 10
)

// An entry is one API request as GET /sim/requests shows it.
type entry struct {
	Seq            int64     `json:"seq"`
	At             time.Time `json:"at"`
	Operation      operation `json:"operation"`
	Method         string    `json:"method"`
	Path           string    `json:"path"`
	Key            string    `json:"key"`
	Origin         string    `json:"origin"`
	Authorized     bool      `json:"authorized"`
	VersionDate    string    `json:"api_version_date"`
	IdempotencyKey string    `json:"idempotency_key"`
	Body           string    `json:"body"`
	Fault          string    `json:"fault"`
	Status         int       `json:"status"`  // 0: none yet, or none at all
	Outcome        string    `json:"outcome"` // pending, answered or cut
}

// operationStats is what GET /sim/stats counts for one operation.
type operationStats struct {
	Requests    int64            `json:"requests"`
	InFlight    int64            `json:"in_flight"`
	MaxInFlight int64            `json:"max_in_flight"`
	Cut         int64            `json:"cut"`
	Statuses    map[string]int64 `json:"statuses"`
}

// A journal counts all requests and keeps the last ones.
type journal struct {
	mu      sync.Mutex
	seq     int64
	entries []*entry
	stats   map[operation]*operationStats
}

func newJournal() *journal { return &journal{stats: map[operation]*operationStats{}} }

func (j *journal) begin(op operation, r *http.Request) *entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e := &entry{
		Seq: j.seq, At: time.Now().UTC(), Operation: op, Method: r.Method, Path: r.URL.EscapedPath(),
		Key: r.PathValue("key"), Origin: r.Header.Get("Origin"),
		VersionDate: r.Header.Get("Api-Version-Date"), IdempotencyKey: r.Header.Get("Idempotency-Key"),
		Outcome: "pending",
	}
	if len(j.entries) == maxEntries {
		j.entries = j.entries[1:]
	}
	j.entries = append(j.entries, e)
	st := j.of(op)
	st.Requests++
	st.InFlight++
	st.MaxInFlight = max(st.MaxInFlight, st.InFlight)
	return e
}

func (j *journal) end(e *entry, w *recorder) {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := j.of(e.Operation)
	st.InFlight--
	e.Status, e.Outcome = w.status, "answered"
	if w.cut || w.status == 0 {
		e.Outcome = "cut"
		st.Cut++
	}
	if w.status != 0 {
		st.Statuses[strconv.Itoa(w.status)]++
	}
}

func (j *journal) of(op operation) *operationStats {
	st := j.stats[op]
	if st == nil {
		st = &operationStats{Statuses: map[string]int64{}}
		j.stats[op] = st
	}
	return st
}

func (j *journal) setBody(e *entry, body []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Body = string(body[:min(len(body), maxEntryBody)])
}

func (j *journal) setFault(e *entry, name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Fault = name
}

func (j *journal) setAuthorized(e *entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Authorized = true
}

// requests returns copies, oldest first.
func (j *journal) requests() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]entry, 0, len(j.entries))
	for _, e := range j.entries {
		list = append(list, *e)
	}
	return list
}

// summary returns the statistics as JSON, including the total.
func (j *journal) summary() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	var total int64
	for _, st := range j.stats {
		total += st.Requests
	}
	return encode(map[string]any{"total": total, "operations": j.stats})
}

// clear forgets everything but the requests in flight.
func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = nil
	for op, st := range j.stats {
		j.stats[op] = &operationStats{InFlight: st.InFlight, MaxInFlight: st.InFlight, Statuses: map[string]int64{}}
	}
}

// A recorder records what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	cut    bool // the answer was left incomplete on purpose
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// record returns a handler that keeps an API operation in the journal from its start to
// its end, however it ends.
func (s *simulator) record(op operation, handle func(*exchange)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &exchange{op: op, w: &recorder{ResponseWriter: w}, r: r, entry: s.journal.begin(op, r)}
		defer s.journal.end(c.entry, c.w)
		handle(c)
	})
}
