package check

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

// If Whop answered but no verdict is possible, no older look-up stands in.
func TestUndecidedIsNotUnasked(t *testing.T) {
	for kind, want := range map[undecidedKind]bool{tooLate: true, unknownStatus: false, notStored: false, storedAltered: false} {
		assert.Equal(t, want, unasked(&undecided{kind: kind, err: errors.New("x")}), kind)
	}
	assert.False(t, unasked(&BusyError{Busy, 0, &undecided{kind: tooLate, err: errors.New("x")}}))
	assert.False(t, unasked(&LimitedError{"client", 0}))
	assert.False(t, unasked(ErrUnknown))
}

func TestWriteWithoutAnErrorWasCarriedOut(t *testing.T) {
	assert.True(t, mayBeCarriedOut(nil))
	assert.True(t, mayBeCarriedOut(errors.New("something else")))
}
