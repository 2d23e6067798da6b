// Package lease reads what a server signs, leases and the proofs of refusals, and
// decides what it proves.
//
// A lease is a server's "yes, this license is valid on this machine", signed so
// that no other server can say it, and dated so that it can stand in for the
// server while no verdict is to be had. It is a compact JWS (RFC 7515) signed with
// Ed25519 (RFC 8037) over a set of [Claims]:
//
//	base64url({"alg":"EdDSA","kid":…,"typ":"whop-license-lease+jwt"}) . base64url(claims) . base64url(signature)
//
// The proof of a refusal is the same of a server's "no", over [RefusalClaims], with
// a typ of its own ([RefusalType]). It proves one answer and is never kept.
// Neither is taken for the other.
//
// There are three questions, and a function for each. [VerifyRefusal] asks whether
// a proof that a server sent just now answers this very request with no. [Verify] asks whether a
// lease that a server sent just now answers this very request. [StandIn] asks
// whether a lease from an earlier answer may stand in for a server that can't
// be heard. All check the signature first; no other function reads a token,
// so claims that came out of this package were signed.
//
// # Strictness
//
// A lease has one spelling. It has exactly three parts of unpadded base64url
// whose unused bits are zero, at most [MaxTokenSize] bytes together. The header
// has exactly the members alg, kid and typ: "crit", and everything else that
// could change a lease's meaning, is refused. JSON is well-formed UTF-8 without
// repeated names, at any depth, and nothing follows it. Times are whole
// numbers. Claims that are not named here are ignored.
//
// The key is named by the RFC 7638 thumbprint that it is checked against
// ([PublicKey.ID]), so a kid can't point at a key that wasn't configured.
//
// A signature is checked as RFC 8032 does, without the cofactor: R, recomputed,
// must be byte for byte the one in the signature, so it is canonical, and S must
// be less than the group's order. A public key must be the canonical encoding of
// a point of the prime-order group, and R must not be the neutral element, so
// there are no small-order or mixed-order points for implementations to disagree
// about. (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", 2020.)
//
// # Clocks
//
// Neither the network nor the clock of the machine is trusted. A fresh answer is
// proven by its nonce, so only [StandIn] asks for the time: it judges by the clock
// plus the skew that was seen when the lease came. One thing can't be seen here:
// a clock that stands still. Time for which an app has run by a monotonic clock
// belongs in [Clock].LastSeen, which makes it visible.
//
// # Size
//
// The package is compiled into a WebAssembly module that pages download, which
// is why it uses filippo.io/edwards25519, from which the standard library's own
// curve arithmetic is maintained, and not crypto/ed25519: in such a module, by
// brotli'd size against an empty Go program, crypto/ed25519, crypto/sha256 and
// encoding/base64 together added 0.30, crypto/sha256 alone 0.22, and
// filippo.io/edwards25519 with a plain SHA-2 0.06. The tests hold both against
// the standard library.
//
// In Chromium, [Verify] took as long as crypto/ed25519 compiled the same way,
// and five times as long as jose, which has the browser check the signature:
// about a millisecond more. [ParsePublicKey] takes nearly as long as [Verify],
// so keys are worth keeping.
package lease
