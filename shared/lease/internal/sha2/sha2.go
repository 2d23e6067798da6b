// Package sha2 is SHA-256 and SHA-512 as FIPS 180-4 defines them, for messages
// that are in memory.
//
// The standard library's packages are the better choice everywhere but in a
// WebAssembly module that is downloaded: there, crypto/sha256 brings the FIPS
// module and its self-tests, a fifth of the size of Go's own runtime, for what
// is a page of arithmetic here. The tests hold every digest against theirs.
package sha2

import "math/bits"

// iv and k are the first 64 bits of the fractional parts of the square roots of
// the first 8 primes and of the cube roots of the first 80. SHA-256 uses the
// upper halves of iv and of the first 64 of k.
var k = [80]uint64{
	0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
	0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
	0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
	0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
	0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
	0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
	0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
	0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
	0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
	0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
	0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
	0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
	0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
	0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
	0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
	0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
	0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
	0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
	0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
	0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
}
var iv = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// Sum256 returns the SHA-256 digest of message.
func Sum256(message []byte) (digest [32]byte) {
	var h [8]uint32
	for i := range h {
		h[i] = uint32(iv[i] >> 32)
	}
	full := len(message) &^ 63
	for i := 0; i < full; i += 64 {
		block256(&h, message[i:i+64])
	}
	last := pad(message[full:], len(message), 64)
	for i := 0; i < len(last); i += 64 {
		block256(&h, last[i:i+64])
	}
	for i, v := range h {
		for j := range 4 {
			digest[4*i+j] = byte(v >> (24 - 8*j))
		}
	}
	return digest
}

// Sum512 returns the SHA-512 digest of message.
func Sum512(message []byte) (digest [64]byte) {
	h := iv
	full := len(message) &^ 127
	for i := 0; i < full; i += 128 {
		block512(&h, message[i:i+128])
	}
	last := pad(message[full:], len(message), 128)
	for i := 0; i < len(last); i += 128 {
		block512(&h, last[i:i+128])
	}
	for i, v := range h {
		for j := range 8 {
			digest[8*i+j] = byte(v >> (56 - 8*j))
		}
	}
	return digest
}

// pad returns the last block or two: the rest of a message of total bytes, a
// one bit, zeros, and the length in bits, big-endian in an eighth of a block.
func pad(rest []byte, total, block int) []byte {
	size := block
	if len(rest) >= block-block/8 {
		size = 2 * block
	}
	p := make([]byte, size)
	p[copy(p, rest)] = 0x80
	for i, length := 1, uint64(total)<<3; length > 0; i, length = i+1, length>>8 {
		p[size-i] = byte(length)
	}
	return p
}

func block256(h *[8]uint32, block []byte) {
	var w [64]uint32
	for i := range 64 {
		w[i/4] = w[i/4]<<8 | uint32(block[i])
	}
	for i := 16; i < len(w); i++ {
		x, y := w[i-15], w[i-2]
		s0 := bits.RotateLeft32(x, -7) ^ bits.RotateLeft32(x, -18) ^ x>>3
		s1 := bits.RotateLeft32(y, -17) ^ bits.RotateLeft32(y, -19) ^ y>>10
		w[i] = w[i-16] + s0 + w[i-7] + s1
	}
	a, b, c, d, e, f, g, z := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	for i := range w {
		s1 := bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)
		s0 := bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)
		t1 := z + s1 + (e&f ^ ^e&g) + uint32(k[i]>>32) + w[i]
		t2 := s0 + (a&b ^ a&c ^ b&c)
		z, g, f, e, d, c, b, a = g, f, e, d+t1, c, b, a, t1+t2
	}
	for i, v := range [8]uint32{a, b, c, d, e, f, g, z} {
		h[i] += v
	}
}

func block512(h *[8]uint64, block []byte) {
	var w [80]uint64
	for i := range 128 {
		w[i/8] = w[i/8]<<8 | uint64(block[i])
	}
	for i := 16; i < len(w); i++ {
		x, y := w[i-15], w[i-2]
		s0 := bits.RotateLeft64(x, -1) ^ bits.RotateLeft64(x, -8) ^ x>>7
		s1 := bits.RotateLeft64(y, -19) ^ bits.RotateLeft64(y, -61) ^ y>>6
		w[i] = w[i-16] + s0 + w[i-7] + s1
	}
	a, b, c, d, e, f, g, z := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	for i := range w {
		s1 := bits.RotateLeft64(e, -14) ^ bits.RotateLeft64(e, -18) ^ bits.RotateLeft64(e, -41)
		s0 := bits.RotateLeft64(a, -28) ^ bits.RotateLeft64(a, -34) ^ bits.RotateLeft64(a, -39)
		t1 := z + s1 + (e&f ^ ^e&g) + k[i] + w[i]
		t2 := s0 + (a&b ^ a&c ^ b&c)
		z, g, f, e, d, c, b, a = g, f, e, d+t1, c, b, a, t1+t2
	}
	for i, v := range [8]uint64{a, b, c, d, e, f, g, z} {
		h[i] += v
	}
}
