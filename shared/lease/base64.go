package lease

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Nonce returns 16 random bytes as a request carries them: base64url without
// padding, 22 characters.
func Nonce(random [16]byte) string { return encodeBase64(random[:]) }

// encodeBase64 returns unpadded base64url (RFC 4648, section 5).
func encodeBase64(src []byte) string {
	dst := make([]byte, 0, (len(src)*8+5)/6)
	bits, n := uint(0), 0
	for _, b := range src {
		bits, n = bits<<8|uint(b), n+8
		for n >= 6 {
			n -= 6
			dst = append(dst, alphabet[bits>>n&63])
		}
	}
	if n > 0 {
		dst = append(dst, alphabet[bits<<(6-n)&63])
	}
	return string(dst)
}

// decodeBase64 reverses encodeBase64 and refuses any other spelling: padding,
// line breaks, the characters of plain base64, or unused bits that are set.
func decodeBase64(src string) ([]byte, bool) {
	dst := make([]byte, 0, len(src)*6/8)
	bits, n := uint(0), 0
	for i := range len(src) {
		var v byte
		switch c := src[i]; {
		case 'A' <= c && c <= 'Z':
			v = c - 'A'
		case 'a' <= c && c <= 'z':
			v = c - 'a' + 26
		case '0' <= c && c <= '9':
			v = c - '0' + 52
		case c == '-':
			v = 62
		case c == '_':
			v = 63
		default:
			return nil, false
		}
		bits, n = bits<<6|uint(v), n+6
		if n >= 8 {
			n -= 8
			dst = append(dst, byte(bits>>n))
		}
	}
	// A group of one character holds no byte; otherwise 0, 2 or 4 bits are left.
	return dst, n < 6 && bits&(1<<n-1) == 0
}
