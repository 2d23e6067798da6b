package sha2

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The examples of FIPS 180-4's companion document: one block and two.
func TestPublishedExamples(t *testing.T) {
	digest256 := Sum256([]byte("abc"))
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex.EncodeToString(digest256[:]))
	digest512 := Sum512([]byte("abc"))
	assert.Equal(t, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"+
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", hex.EncodeToString(digest512[:]))
}

func TestEveryLengthAgainstStandardLibrary(t *testing.T) {
	message := make([]byte, 700)
	for i := range message {
		message[i] = byte(i*i + i>>3)
	}
	for n := range message {
		assert.Equal(t, sha256.Sum256(message[:n]), Sum256(message[:n]), "SHA-256 of %d bytes", n)
		assert.Equal(t, sha512.Sum512(message[:n]), Sum512(message[:n]), "SHA-512 of %d bytes", n)
	}
}

// A length whose bits need more than two bytes.
func TestLongMessage(t *testing.T) {
	message := bytes.Repeat([]byte("license "), 200_000)
	assert.Equal(t, sha256.Sum256(message), Sum256(message))
	assert.Equal(t, sha512.Sum512(message), Sum512(message))
}

func FuzzAgainstStandardLibrary(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, 111))
	f.Add(bytes.Repeat([]byte{0x80}, 112))
	f.Fuzz(func(t *testing.T, message []byte) {
		if Sum256(message) != sha256.Sum256(message) || Sum512(message) != sha512.Sum512(message) {
			t.Fatalf("digests of %x differ from the standard library's", message)
		}
	})
}
