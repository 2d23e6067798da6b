package main

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// circuitTrip is how many different licenses must fail before Whop is taken to
	// be down, and they must be at least half of what was asked last.
	circuitTrip = 10
	// circuitMemory is how long an answer or a failure counts. One license's
	// failures within it count once.
	circuitMemory = 30 * time.Second
	// circuitRest is how long Whop is then not asked at all.
	circuitRest = 5 * time.Second
	// circuitTrials is how many licenses may be asked about at once to see whether
	// Whop is back.
	circuitTrials = 3
)

// circuit stops asking Whop while it is down. Only failures of licenses that
// Whop has told of before count: anyone can make up license keys, and find some
// that make Whop fail, so those may neither shut out customers nor keep them
// out. A gateway that has seen no license yet is held by the quota alone.
type circuit struct {
	metrics *metrics
	log     *slog.Logger

	mu     sync.Mutex
	known  *simplelru.LRU[tag, time.Time] // licenses that Whop has told of, and when each failed last
	recent []askedWhop                    // the last 2 × circuitTrip, oldest first
	state  circuitState
	turn   int // counts changes of the state, so that a late answer changes nothing
	trials int // licenses that are asked about on trial
	until  time.Time
}

type askedWhop struct {
	at     time.Time
	failed bool
}

type circuitState string

const (
	circuitClosed circuitState = "closed"
	circuitOpen   circuitState = "open"
	circuitTrial  circuitState = "trial" // strangers pass; of known licenses a few, and one answer decides
)

func newCircuit(m *metrics, log *slog.Logger) *circuit {
	known, _ := simplelru.NewLRU[tag, time.Time](maxCached, nil)
	return &circuit{metrics: m, log: log, known: known, state: circuitClosed}
}

func circuitError() error {
	return &upstreamError{reason: "circuit_open", retryAfter: circuitRest, err: errors.New("Whop was failing and is left alone")}
}

// open returns an [upstreamError] while Whop is not to be asked.
func (c *circuit) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == circuitOpen && time.Now().Before(c.until) {
		return circuitError()
	}
	return nil
}

// run makes a call about one license, or returns an [upstreamError] at once
// while the circuit is open.
func (c *circuit) run(id tag, call func() (*membership, error)) (*membership, error) {
	turn, known, ok := c.begin(id)
	if !ok {
		return nil, circuitError()
	}
	m, err := call()
	c.end(id, turn, known, err)
	return m, err
}

func (c *circuit) begin(id tag) (turn int, known, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == circuitOpen {
		if time.Now().Before(c.until) {
			return 0, false, false
		}
		c.change(circuitTrial)
	}
	known = c.known.Contains(id)
	if c.state == circuitTrial && known {
		if c.trials == circuitTrials {
			return 0, false, false
		}
		c.trials++
	}
	return c.turn, known, true
}

func (c *circuit) end(id tag, turn int, known bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := known && isOutage(err)
	if err == nil {
		failedAt, _ := c.known.Peek(id)
		c.known.Add(id, failedAt)
	}
	switch {
	case turn != c.turn:
	case c.state == circuitTrial && failed:
		c.change(circuitOpen)
	case c.state == circuitTrial && (known || err == nil):
		c.change(circuitClosed)
	case c.state == circuitClosed && failed:
		failedAt, _ := c.known.Peek(id)
		if time.Since(failedAt) < circuitMemory {
			return
		}
		c.known.Add(id, time.Now())
		if c.record(true) >= circuitTrip {
			c.change(circuitOpen)
		}
	case c.state == circuitClosed && err == nil:
		c.record(false)
	}
}

// record notes what came of a call, and returns how many of the last failed.
func (c *circuit) record(failed bool) (failures int) {
	if len(c.recent) == 2*circuitTrip {
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	c.recent = append(c.recent, askedWhop{time.Now(), failed})
	for _, r := range c.recent {
		if r.failed && time.Since(r.at) < circuitMemory {
			failures++
		}
	}
	return failures
}

func (c *circuit) change(to circuitState) {
	c.log.Warn("the circuit to Whop changed", "from", c.state, "to", to)
	c.metrics.circuitOpen(to == circuitOpen)
	c.state, c.trials, c.recent = to, 0, c.recent[:0]
	c.turn++
	if to == circuitOpen {
		c.until = time.Now().Add(circuitRest)
	}
}
