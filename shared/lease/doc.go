// Package lease verifies what a license server signs, leases and the proofs of
// refusals, and decides what they prove.
//
// A lease is a server's "yes, this license is valid on this machine". It is signed,
// so that no other server can say it, and dated, so that it can stand in for the
// server when no verdict can be reached. It is a compact JWS (RFC 7515) signed with
// Ed25519 (RFC 8037) over [Claims]:
//
//	base64url({"alg":"EdDSA","kid":…,"typ":"whop-license-lease+jwt"}) . base64url(claims) . base64url(signature)
//
// The proof of a refusal is a server's "no", signed in the same way over
// [RefusalClaims]. It has a typ of its own ([RefusalType]), so that neither is taken
// for the other. It proves one response and is never stored.
//
// There are three questions, and a function for each:
//
//   - [Verify]: does this lease, which a server sent just now, answer this request?
//   - [VerifyRefusal]: does this proof, which a server sent just now, answer this
//     request with no?
//   - [StandIn]: may this stored lease stand in for the server?
//
// All three verify the signature first. No other function reads a token, so claims
// that come out of this package were signed.
//
// # Strictness
//
// A token has one spelling. It has exactly three parts of unpadded base64url whose
// unused bits are zero, and at most [MaxTokenSize] bytes. The header has exactly the
// members alg, kid and typ. Everything else that could change the token's meaning,
// such as "crit", is refused. JSON is well-formed UTF-8 without repeated names, at
// any depth, and nothing follows it. Times are whole numbers. Claims that are not
// named here are ignored.
//
// A kid is the RFC 7638 thumbprint of a key ([PublicKey.ID]), so it can't point at a
// key that wasn't configured.
//
// A signature is verified as in RFC 8032, without the cofactor. R is computed again
// and must be the same bytes as in the signature, so it is canonical, and S must be
// less than the order of the group. A public key must be the canonical encoding of a
// point of the prime-order group, and R must not be the neutral element. That leaves
// no small-order or mixed-order points for implementations to disagree about.
// (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", 2020.)
//
// # Clocks
//
// Neither the network nor the machine's clock is trusted. The nonce proves that a
// response is fresh, so only [StandIn] needs the time: that of the clock, plus the skew
// that was seen when the lease came. This package can't see that a clock stands
// still. To make that visible, an app adds the time for which it has run, by a
// monotonic clock, to [Clock].LastSeen.
//
// # Size
//
// The package is compiled into a WebAssembly module that pages download. That is why
// it uses filippo.io/edwards25519, from which the standard library's own curve
// arithmetic is maintained, and not crypto/ed25519. Measured by size after brotli, and
// as a share of an empty Go program, crypto/ed25519, crypto/sha256 and encoding/base64
// together added 30 % to the module, crypto/sha256 alone 22 %, and
// filippo.io/edwards25519 with a plain SHA-2 6 %. The tests compare both with the
// standard library.
//
// In Chromium, [Verify] took as long as crypto/ed25519 compiled to WebAssembly, and
// about a millisecond longer than jose, which lets the browser verify the signature.
// [ParsePublicKey] takes nearly as long as [Verify], so it is worth keeping keys.
package lease
