package lease

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignaturesAgreeWithStandardLibrary(t *testing.T) {
	message := []byte("a message that is longer than a block of SHA-512: " + strings.Repeat("license ", 20))
	for i := range byte(20) {
		seed := sha256.Sum256([]byte{i})
		private := ed25519.NewKeyFromSeed(seed[:])
		public := private.Public().(ed25519.PublicKey)
		key, err := ParsePublicKey(encodeBase64(public))
		require.NoError(t, err)
		message := message[:len(message)-int(i)]
		signature := ed25519.Sign(private, message)
		assert.True(t, key.verify(message, signature))
		for bit := int(i); bit < 512; bit += 37 {
			altered := append([]byte(nil), signature...)
			altered[bit/8] ^= 1 << (bit % 8)
			assert.Equal(t, ed25519.Verify(public, message, altered), key.verify(message, altered), "bit %d", bit)
		}
		assert.False(t, key.verify(message[1:], signature))
	}
}

func TestVerifyTakesAnyLength(t *testing.T) {
	seed := sha256.Sum256(nil)
	private := ed25519.NewKeyFromSeed(seed[:])
	key, err := ParsePublicKey(encodeBase64(private.Public().(ed25519.PublicKey)))
	require.NoError(t, err)
	signature := append(ed25519.Sign(private, nil), make([]byte, 64)...)
	for n := range signature {
		assert.Equal(t, n == 64, key.verify(nil, signature[:n]), n)
	}
	assert.False(t, PublicKey{}.verify(nil, signature[:64]))
}

func FuzzBase64(f *testing.F) {
	for _, text := range []string{"", "A", "AA", "AB", "AAA", "AAB", "AAAA", "AA==", "A\nAA", "-_-_", "AA+A", "AA/A", "\x80AAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := base64.RawURLEncoding.Strict().DecodeString(text)
		lineBreak := strings.ContainsAny(text, "\r\n") // which encoding/base64 passes over
		got, ok := decodeBase64(text)
		require.Equal(t, err == nil && !lineBreak, ok, "%q", text)
		if ok {
			require.Equal(t, want, append([]byte{}, got...))
			require.Equal(t, text, encodeBase64(got))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	seed := sha256.Sum256(nil)
	private := ed25519.NewKeyFromSeed(seed[:])
	key, err := ParsePublicKey(encodeBase64(private.Public().(ed25519.PublicKey)))
	require.NoError(b, err)
	message := []byte(strings.Repeat("x", 700))
	signature := ed25519.Sign(private, message)
	for b.Loop() {
		if !key.verify(message, signature) {
			b.Fatal("refused")
		}
	}
}
