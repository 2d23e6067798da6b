package main

import (
	"errors"
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/sony/gobreaker/v2"
)

const (
	// circuitTrip is how many different licenses in a row must fail before Whop
	// is taken to be down.
	circuitTrip = 20
	// circuitRest is how long Whop is then not asked at all.
	circuitRest = 5 * time.Second
)

// circuit stops asking Whop while it is down. One license's failures within
// [circuitRest] count once: nobody can shut others out with a single key that
// makes Whop fail.
type circuit struct {
	breaker *gobreaker.CircuitBreaker[*membership]
	failing *lru.Cache[tag, time.Time]
}

// repeated marks a failure that was counted before.
type repeated struct{ error }

func (r repeated) Unwrap() error { return r.error }

func newCircuit(m *metrics, log *slog.Logger) *circuit {
	failing, _ := lru.New[tag, time.Time](4 * circuitTrip)
	return &circuit{
		failing: failing,
		breaker: gobreaker.NewCircuitBreaker[*membership](gobreaker.Settings{
			MaxRequests:  3,
			Timeout:      circuitRest,
			ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= circuitTrip },
			IsExcluded:   func(err error) bool { return errors.As(err, new(repeated)) },
			IsSuccessful: func(err error) bool { return !isOutage(err) },
			OnStateChange: func(_ string, from, to gobreaker.State) {
				m.circuitOpen(to == gobreaker.StateOpen)
				log.Warn("the circuit to Whop changed", "from", from.String(), "to", to.String())
			},
		}),
	}
}

// open returns an [upstreamError] while Whop is not to be asked.
func (c *circuit) open() error {
	if c.breaker.State() == gobreaker.StateOpen {
		return circuitError(gobreaker.ErrOpenState)
	}
	return nil
}

func circuitError(err error) error {
	return &upstreamError{reason: "circuit_open", retryAfter: circuitRest, err: err}
}

// run makes a call about one license, or returns an [upstreamError] at once
// while the circuit is open.
func (c *circuit) run(id tag, call func() (*membership, error)) (*membership, error) {
	m, err := c.breaker.Execute(func() (*membership, error) {
		m, err := call()
		if isOutage(err) {
			if at, ok := c.failing.Get(id); ok && time.Since(at) < circuitRest {
				return nil, repeated{err}
			}
			c.failing.Add(id, time.Now())
		}
		return m, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, circuitError(err)
	}
	return m, err
}
