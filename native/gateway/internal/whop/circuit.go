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
	// maxKnown is how many licenses are remembered that Whop has answered about.
	maxKnown = 1 << 16
	// circuitThreshold is how many different licenses must fail before Whop counts
	// as down. They must also be at least half of the last look-ups.
	circuitThreshold = 10
	// circuitWindow is how long an answer or a failure counts. One license's
	// failures within it count once.
	circuitWindow = 30 * time.Second
	// circuitOpenTime is how long the circuit stays open, so that Whop is not asked.
	circuitOpenTime = 5 * time.Second
	// circuitProbes is how many licenses may be looked up at once to see whether Whop is back.
	circuitProbes = 3
)

// circuit is a circuit breaker: it stops calling Whop while Whop is down. Only
// failures for licenses that Whop has answered about before count. Anyone can
// make up license keys, and may find some that make Whop fail; those must
// neither open the circuit nor keep it open. Until a gateway has seen enough
// licenses, only the quota limits its calls.
type circuit struct {
	metrics Metrics
	log     *slog.Logger

	mu     sync.Mutex
	known  *simplelru.LRU[tag.Tag, time.Time] // licenses that Whop has answered about, and when each last failed
	recent []askedWhop                        // the last 2 × circuitThreshold, oldest first
	state  circuitState
	// generation counts changes of the state, so that a late answer changes nothing.
	generation int
	probes     int // look-ups of known licenses while half-open
	openUntil  time.Time
}

type askedWhop struct {
	at     time.Time
	failed bool
}

type circuitState string

const (
	isClosed circuitState = "closed"
	isOpen   circuitState = "open"
	halfOpen circuitState = "half-open" // strangers pass, and a few known licenses; the first answer decides
)

func newCircuit(m Metrics, log *slog.Logger) *circuit {
	known, _ := simplelru.NewLRU[tag.Tag, time.Time](maxKnown, nil)
	return &circuit{metrics: m, log: log, known: known, state: isClosed}
}

func circuitError() error {
	return &Failure{Kind: circuitOpen, after: circuitOpenTime, err: errors.New("it was failing and is not asked for now")}
}

// open returns a [*Failure] while the circuit is open.
func (c *circuit) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == isOpen && time.Now().Before(c.openUntil) {
		return circuitError()
	}
	return nil
}

// run makes a call about one license, or returns a [*Failure] immediately while
// the circuit is open.
func (c *circuit) run(id tag.Tag, call func() (*check.Membership, error)) (*check.Membership, error) {
	generation, known, ok := c.begin(id)
	if !ok {
		return nil, circuitError()
	}
	m, err := call()
	c.end(id, generation, known, err)
	return m, err
}

func (c *circuit) begin(id tag.Tag) (generation int, known, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == isOpen {
		if time.Now().Before(c.openUntil) {
			return 0, false, false
		}
		c.change(halfOpen)
	}
	known = c.known.Contains(id)
	if c.state == halfOpen && known {
		if c.probes == circuitProbes {
			return 0, false, false
		}
		c.probes++
	}
	return c.generation, known, true
}

func (c *circuit) end(id tag.Tag, generation int, known bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	failed := known && isOutage(err)
	if err == nil {
		failedAt, _ := c.known.Peek(id)
		c.known.Add(id, failedAt)
	}
	switch {
	case generation != c.generation:
	case c.state == halfOpen && failed:
		c.change(isOpen)
	case c.state == halfOpen && (known || err == nil):
		c.change(isClosed)
	case c.state == isClosed && failed:
		failedAt, _ := c.known.Peek(id)
		if time.Since(failedAt) < circuitWindow {
			return
		}
		c.known.Add(id, time.Now())
		if c.record(true) >= circuitThreshold {
			c.change(isOpen)
		}
	case c.state == isClosed && err == nil:
		c.record(false)
	}
}

// record records the result of a call, and returns how many of the recent ones
// failed.
func (c *circuit) record(failed bool) (failures int) {
	if len(c.recent) == 2*circuitThreshold {
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	c.recent = append(c.recent, askedWhop{time.Now(), failed})
	for _, r := range c.recent {
		if r.failed && time.Since(r.at) < circuitWindow {
			failures++
		}
	}
	return failures
}

func (c *circuit) change(to circuitState) {
	c.log.Warn("the circuit to Whop changed", "from", c.state, "to", to)
	c.metrics.CircuitOpen(to == isOpen)
	c.state, c.probes, c.recent = to, 0, c.recent[:0]
	c.generation++
	if to == isOpen {
		c.openUntil = time.Now().Add(circuitOpenTime)
	}
}
