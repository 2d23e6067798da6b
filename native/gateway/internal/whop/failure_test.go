package whop

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/native/gateway/internal/check"
)

// Only failures of Whop itself count as an outage.
func TestKindsOfFailure(t *testing.T) {
	outages := map[Kind]bool{timeout: true, unreachable: true, unanswered: true, failing: true}
	for _, k := range []Kind{
		paused, overBudget, circuitOpen, timeout, unreachable, unanswered, failing,
		rateLimited, badAnswer, otherNotFound, unauthorized, forbidden, badRequest,
		badVersion, unknownToWrite,
	} {
		err := newFailure(k, errNotHTTP)
		assert.Equal(t, outages[k], isOutage(err), k)
		assert.Equal(t, outages[k] && k != failing || k == badAnswer, err.MayBeCarriedOut(), k)
	}
	assert.False(t, newFailure(unknownToWrite, errNotHTTP).Unasked())
	for _, k := range []Kind{circuitOpen, badAnswer, unauthorized} {
		assert.True(t, newFailure(k, errNotHTTP).Unasked(), k)
	}
	assert.False(t, isOutage(nil))
	assert.False(t, isOutage(check.ErrUnknown))
	var notSent check.Failure
	require.ErrorAs(t, circuitError(), &notSent)
	assert.False(t, notSent.MayBeCarriedOut(), "it was not sent")
}
