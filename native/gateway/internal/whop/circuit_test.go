package whop

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/gatewaytest"
	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

var errDown = newFailure(failing, errors.New("status 500"))

// circuitOf returns a circuit and a way to ask about a license.
func circuitOf() (c *circuit, ask func(name string, answer error) (asked bool)) {
	c = newCircuit(noMetrics{}, gatewaytest.DiscardLog())
	tags := tag.NewTagger("k")
	return c, func(name string, answer error) (asked bool) {
		_, _ = c.run(tags.Of("call", []byte(name)), func() (*check.Membership, error) { asked = true; return nil, answer })
		return asked
	}
}

// tripped returns a circuit that has just opened: customers 0 to circuitThreshold-1
// were seen valid, and then failed.
func tripped(t *testing.T) (c *circuit, ask func(string, error) bool) {
	c, ask = circuitOf()
	for n := range circuitThreshold {
		require.True(t, ask(gatewaytest.Customer(n), nil))
	}
	for n := range circuitThreshold {
		require.True(t, ask(gatewaytest.Customer(n), errDown))
	}
	require.Error(t, c.open())
	return c, ask
}

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) Called(string, string, time.Duration) {}
func (noMetrics) HeldBack(string, string)              {}
func (noMetrics) CircuitOpen(bool)                     {}

func TestCircuitCountsDifferentLicensesThatWereSeenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 1000 {
			ask(gatewaytest.Stranger(n), errDown)
		}
		assert.NoError(t, c.open(), "keys that Whop never told of")
		for n := range circuitThreshold {
			ask(gatewaytest.Customer(n), nil)
		}
		for range 1000 {
			ask(gatewaytest.Customer(0), errDown)
		}
		assert.NoError(t, c.open(), "one license")
		for n := range circuitThreshold - 1 {
			assert.NoError(t, c.open())
			ask(gatewaytest.Customer(n), errDown)
		}
		assert.NoError(t, c.open())
		assert.True(t, ask(gatewaytest.Customer(circuitThreshold-1), errDown))
		assert.Error(t, c.open())
		assert.False(t, ask(gatewaytest.Customer(0), nil))
		assert.False(t, ask(gatewaytest.Stranger(0), nil))
	})
}

func TestCircuitNeedsHalfOfWhatWasAskedToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 100 {
			ask(gatewaytest.Customer(n), nil)
		}
		for n := range 100 { // one in three fails
			ask(gatewaytest.Customer(n), errDown)
			ask(gatewaytest.Customer(n), nil)
			ask(gatewaytest.Customer(n+1), nil)
			require.NoError(t, c.open())
		}
	})
}

func TestCircuitForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := circuitOf()
		for n := range 100 {
			ask(gatewaytest.Customer(n), nil)
		}
		for n := range 100 {
			ask(gatewaytest.Customer(n), errDown)
			time.Sleep(circuitWindow/(circuitThreshold-1) + 1)
			require.NoError(t, c.open())
		}
	})
}

func TestCircuitCountsNoAnswers(t *testing.T) {
	status := errors.New("status")
	for _, err := range []error{
		check.ErrUnknown, newFailure(badAnswer, status), &Failure{Kind: forbidden, err: status},
		&Failure{Kind: rateLimited, after: time.Second, err: status},
	} {
		c, ask := circuitOf()
		for n := range 10 * circuitThreshold {
			ask(gatewaytest.Customer(n), nil)
			ask(gatewaytest.Stranger(n), err)
		}
		for n := range 10 * circuitThreshold {
			ask(gatewaytest.Customer(n), err)
		}
		assert.NoError(t, c.open(), err.Error())
	}
}

func TestCircuitClosesWithAnAnswer(t *testing.T) {
	for name, who := range map[string]string{"known": gatewaytest.Customer(0), "new": "new customer"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, ask := tripped(t)
				time.Sleep(circuitOpenTime)
				assert.True(t, ask(who, nil))
				assert.Equal(t, isClosed, c.state)
				for n := range circuitThreshold - 1 {
					assert.True(t, ask(gatewaytest.Customer(n), errDown), "what failed before it opened counts no more")
				}
			})
		})
	}
}

func TestCircuitOpensAgainWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		for range 10 {
			time.Sleep(circuitOpenTime)
			assert.True(t, ask(gatewaytest.Customer(0), errDown))
			assert.Error(t, c.open())
			assert.False(t, ask(gatewaytest.Customer(1), nil))
		}
	})
}

// An attacker who has keys that make Whop fail, or hang, can't keep the circuit
// from closing.
func TestStrangersCannotKeepTheCircuitOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		time.Sleep(circuitOpenTime)
		hang := make(chan struct{})
		for n := range 100 {
			go func() {
				_, _ = c.run(tag.NewTagger("x").Of("call", []byte(gatewaytest.Stranger(n))), func() (*check.Membership, error) { <-hang; return nil, errDown })
			}()
		}
		synctest.Wait()
		for n := range 100 {
			ask(gatewaytest.Stranger(n), errDown)
			ask(gatewaytest.Stranger(n), check.ErrUnknown)
		}
		assert.NoError(t, c.open())
		assert.Equal(t, halfOpen, c.state, "nor close it")
		assert.True(t, ask(gatewaytest.Customer(0), nil))
		close(hang)
		synctest.Wait()
		assert.Equal(t, isClosed, c.state)
	})
}

func TestCircuitTriesAFewLicensesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := tripped(t)
		time.Sleep(circuitOpenTime)
		hang := make(chan struct{})
		for n := range circuitProbes {
			go func() {
				_, _ = c.run(tag.NewTagger("k").Of("call", []byte(gatewaytest.Customer(n))), func() (*check.Membership, error) { <-hang; return nil, nil })
			}()
		}
		synctest.Wait()
		assert.False(t, ask(gatewaytest.Customer(9), nil))
		close(hang)
		synctest.Wait()
		assert.True(t, ask(gatewaytest.Customer(9), nil))
	})
}
