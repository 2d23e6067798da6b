package whop

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

const (
	// maxKnown is how many licenses that Whop has answered about are remembered.
	maxKnown = 1 << 16
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
// Whop has answered about before count. Anyone can make up license keys, and may
// find some that make Whop fail; those must neither open the circuit nor keep it
// open. Until a gateway has seen enough licenses, only the quota holds it back.
type circuit struct {
	metrics Metrics
	log     *slog.Logger

	mu     sync.Mutex
	known  *simplelru.LRU[tag.Tag, time.Time] // licenses that Whop has told of, and when each failed last
	recent []askedWhop                        // the last 2 × circuitTrip, oldest first
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
	isClosed circuitState = "closed"
	isOpen   circuitState = "open"
	onTrial  circuitState = "trial" // strangers pass; of known licenses a few, and one answer decides
)

func newCircuit(m Metrics, log *slog.Logger) *circuit {
	known, _ := simplelru.NewLRU[tag.Tag, time.Time](maxKnown, nil)
	return &circuit{metrics: m, log: log, known: known, state: isClosed}
}

func circuitError() error {
	return &Failure{Kind: circuitOpen, after: circuitRest, err: errors.New("it was failing and is left alone")}
}

// open returns a [*Failure] while Whop is not to be asked.
func (c *circuit) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == isOpen && time.Now().Before(c.until) {
		return circuitError()
	}
	return nil
}

// run makes a call about one license, or returns a [*Failure] at once
// while the circuit is open.
func (c *circuit) run(id tag.Tag, call func() (*check.Membership, error)) (*check.Membership, error) {
	turn, known, ok := c.begin(id)
	if !ok {
		return nil, circuitError()
	}
	m, err := call()
	c.end(id, turn, known, err)
	return m, err
}

func (c *circuit) begin(id tag.Tag) (turn int, known, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == isOpen {
		if time.Now().Before(c.until) {
			return 0, false, false
		}
		c.change(onTrial)
	}
	known = c.known.Contains(id)
	if c.state == onTrial && known {
		if c.trials == circuitTrials {
			return 0, false, false
		}
		c.trials++
	}
	return c.turn, known, true
}

func (c *circuit) end(id tag.Tag, turn int, known bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := known && isOutage(err)
	if err == nil {
		failedAt, _ := c.known.Peek(id)
		c.known.Add(id, failedAt)
	}
	switch {
	case turn != c.turn:
	case c.state == onTrial && failed:
		c.change(isOpen)
	case c.state == onTrial && (known || err == nil):
		c.change(isClosed)
	case c.state == isClosed && failed:
		failedAt, _ := c.known.Peek(id)
		if time.Since(failedAt) < circuitMemory {
			return
		}
		c.known.Add(id, time.Now())
		if c.record(true) >= circuitTrip {
			c.change(isOpen)
		}
	case c.state == isClosed && err == nil:
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
	c.metrics.CircuitOpen(to == isOpen)
	c.state, c.trials, c.recent = to, 0, c.recent[:0]
	c.turn++
	if to == isOpen {
		c.until = time.Now().Add(circuitRest)
	}
}
