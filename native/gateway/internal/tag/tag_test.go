package tag

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTagsDependOnTheAPIKeyAndTheKind(t *testing.T) {
	a, b := NewTagger("one"), NewTagger("two")
	assert.NotEqual(t, a.Of("key", []byte("k")), b.Of("key", []byte("k")), "without the API key nobody can guess")
	assert.NotEqual(t, a.Of("key", []byte("k")), a.Of("membership", []byte("k")))
	assert.Equal(t, a.Of("key", []byte("k")), NewTagger("one").Of("key", []byte("k")))
	assert.Equal(t, a.Of("key", []byte("k")), a.OfLicenseKey("k"))
	assert.Equal(t, a.Of("membership", []byte("k")), a.OfMembership("k"))
}
