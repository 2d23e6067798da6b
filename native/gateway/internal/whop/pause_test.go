package whop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/whop-license/whop-license/native/gateway/internal/tag"
)

func TestPause(t *testing.T) {
	now := time.Now()
	p := &pause{}
	p.begin(tag.Tag{'a'}, now, 10*time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag.Tag{'a'}, now))
	assert.LessOrEqual(t, p.remaining(tag.Tag{'b'}, now), time.Duration(0))
	p.begin(tag.Tag{'a'}, now, 5*time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag.Tag{'a'}, now), "not shortened")
	assert.LessOrEqual(t, p.remaining(tag.Tag{'b'}, now), time.Duration(0))
	p.begin(tag.Tag{'b'}, now, time.Second)
	assert.Equal(t, 10*time.Second, p.remaining(tag.Tag{'c'}, now), "two licenses: all wait")
	later := now.Add(11 * time.Second)
	assert.LessOrEqual(t, p.remaining(tag.Tag{'c'}, later), time.Duration(0))
	p.begin(tag.Tag{'c'}, later, time.Second)
	assert.LessOrEqual(t, p.remaining(tag.Tag{'d'}, later), time.Duration(0), "a new pause begins with one license")
}
