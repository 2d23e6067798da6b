package cluster

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// Who asks while an echo is under way waits for a later one: news may have been
// told after that echo was sent.
func TestAFlightThatBeganBeforeShowsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flight
		var begun atomic.Int32
		older, ended := make(chan struct{}), make(chan int32)
		go func() { _ = f.do(func() error { begun.Add(1); <-older; return nil }) }()
		synctest.Wait()
		failed := errors.New("failed")
		for range 3 {
			go func() {
				assert.ErrorIs(t, f.do(func() error { begun.Add(1); return failed }), failed)
				ended <- begun.Load()
			}()
		}
		synctest.Wait()
		assert.EqualValues(t, 1, begun.Load(), "nobody asks twice at a time")
		close(older)
		for range 3 {
			assert.Greater(t, <-ended, int32(1))
		}
	})
}
