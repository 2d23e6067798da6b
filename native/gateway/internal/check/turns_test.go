package check

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

func TestTurns(t *testing.T) {
	turns := newTurns()
	var wg sync.WaitGroup
	inside := 0
	for range 200 {
		wg.Go(func() {
			turn, err := turns.acquire(context.Background(), tag.Tag{1})
			if assert.NoError(t, err) {
				inside++ // the race detector sees it where the turn does not hold
				turn.release()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 200, inside)
	turn, err := turns.acquire(t.Context(), tag.Tag{1})
	require.NoError(t, err)
	other, err := turns.acquire(t.Context(), tag.Tag{2})
	require.NoError(t, err, "another license waits for nobody")
	other.release()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = turns.acquire(gone, tag.Tag{1})
	assert.ErrorIs(t, err, context.Canceled)
	turn.release()
	assert.Empty(t, turns.taken, "nothing is left behind")
}
