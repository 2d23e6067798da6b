//go:build !js

package lease_test

import (
	"strconv"
	"strings"

	"github.com/whop-license/whop-license/shared/lease"
)

func (v vector) takenRefusal(c lease.RefusalClaims) vector {
	v.Want = want{Claims: []byte(refusalPayload(c))}
	return v
}

func addRefusals(all vectors) {
	c := refusalClaims()
	p := refusalPayload(c)
	sign := func(payload string) string { return signer1.sign(signer1.headerOf(lease.RefusalType), payload) }
	good := func(name, about, token string, c lease.RefusalClaims, change ...func(*vector)) {
		all.add("refusal-"+name, about, call("verifyRefusal", token).takenRefusal(c), change...)
	}
	for _, code := range []string{"not_found", "metadata_mismatch", "license_inactive"} {
		of := c
		of.Code = code
		good(strings.ReplaceAll(code, "_", "-"), "the proof of a refusal", signer1.refusal(of), of, func(v *vector) { v.Code = code })
	}
	good("second-key", "while keys rotate, a proof by either key is good", signer2.refusal(c), c, func(v *vector) {
		v.PublicKeys = append(v.PublicKeys, signer2.public())
	})
	good("any-server", "without an issuer, any that the key signed", signer1.refusal(c), c, func(v *vector) { v.Issuer = "" })
	good("of-a-product", "a refusal is of no product and no membership, so neither is asked for", signer1.refusal(c), c, func(v *vector) {
		v.Audience, v.Subject = claims().Audience, claims().Subject
	})
	good("other-claims", "claims that a proof does not know are ignored, a lease's among them",
		sign(changed(p, `{"iss"`, `{"exp":1,"aud":["x"],"a":{"code":1},"iss"`)), c)
	good("clock-1970", "a clock that lost its battery", signer1.refusal(c), c)
	filler := func(n int) string { return sign(changed(p, `{"iss"`, `{"x":"`+strings.Repeat("x", n)+`","iss"`)) }
	n := 0
	for len(filler(n+1)) <= lease.MaxTokenSize {
		n++
	}
	good("largest", "as long as a proof may be", filler(n), c)
	refused := func(name, about string, reason lease.Reason, token string, change ...func(*vector)) {
		all.add("refusal-"+name, about, call("verifyRefusal", token).refused(reason), change...)
	}
	refused("forged-too-large", "one byte too long", lease.ReasonMalformed, filler(n+1))

	addEachOther(all, refused)
	addRefusalClaims(refused, sign)
}

// addEachOther adds each kind of token in the other's place.
func addEachOther(all vectors, refused func(name, about string, reason lease.Reason, token string, change ...func(*vector))) {
	ofLease, ofRefusal := samples()[0], samples()[1]
	refused("forged-by-lease", "a lease as the proof of a refusal", lease.ReasonType, ofLease.token(signer1))
	refused("forged-by-lease-header", "a refusal's claims under a lease's header", lease.ReasonType, signer1.sign(ofLease.header(signer1), ofRefusal.payload))
	refused("malformed-by-lease-claims", "a lease's claims under a refusal's header", lease.ReasonMalformed, signer1.sign(ofRefusal.header(signer1), ofLease.payload))
	refused("forged-by-lease-signature", "a refusal's header and claims with a lease's signature", lease.ReasonSignature,
		strings.Join(append(strings.Split(ofRefusal.token(signer1), ".")[:2], strings.Split(ofLease.token(signer1), ".")[2]), "."))
	all.add("forged-by-refusal", "the proof of a refusal as a lease", ofLease.forged(lease.ReasonType, ofRefusal.token(signer1)))
	all.add("forged-by-refusal-header", "a lease's claims under a refusal's header", ofLease.forged(lease.ReasonType, signer1.sign(ofRefusal.header(signer1), ofLease.payload)))
	all.add("malformed-by-refusal-claims", "a refusal's claims under a lease's header", ofLease.forged(lease.ReasonMalformed, signer1.sign(ofLease.header(signer1), ofRefusal.payload)))
	all.stored("refusal", "the proof of a refusal as a stored lease", lease.ReasonType, lease.Clock{Now: nowMs}, func(v *vector) { v.Token = ofRefusal.token(signer1) })
}

func addRefusalClaims(refused func(name, about string, reason lease.Reason, token string, change ...func(*vector)), sign func(payload string) string) {
	c := refusalClaims()
	p := refusalPayload(c)
	part := strings.Split(signer1.refusal(c), ".")
	for name, to := range map[string][2]string{
		"code": {c.Code, "license_inactive"}, "nonce": {c.Nonce, otherNonce}, "iss": {c.Issuer, "https://forger.example"},
		"lic": {c.LicenseKeyHash, lease.HashLicenseKey("Z9Z9Z9-D4E5F6-G7H8I9")}, "hwm": {c.MetadataHash, lease.HashMetadata(nil)},
		"nothing": {`,"iat"`, `, "iat"`},
	} {
		refused("forged-altered-"+name, name+" altered after signing", lease.ReasonSignature, part[0]+"."+b64([]byte(changed(p, to[0], to[1])))+"."+part[2])
	}
	of := func(name, about string, reason lease.Reason, change func(*lease.RefusalClaims)) {
		other := c
		change(&other)
		refused("forged-of-"+name, about, reason, signer1.refusal(other))
	}
	of("other-code", "the proof of another refusal", lease.ReasonCode, func(c *lease.RefusalClaims) { c.Code = "license_inactive" })
	of("code-case", "a code in another case", lease.ReasonCode, func(c *lease.RefusalClaims) { c.Code = "NOT_FOUND" })
	of("other-key", "of another license key", lease.ReasonLicenseKey, func(c *lease.RefusalClaims) { c.LicenseKeyHash = lease.HashLicenseKey("x") })
	of("other-machine", "of another machine", lease.ReasonMetadata, func(c *lease.RefusalClaims) { c.MetadataHash = lease.HashMetadata(map[string]string{"HWID": "m2"}) })
	of("no-machine", "of the same key for no machine", lease.ReasonMetadata, func(c *lease.RefusalClaims) { c.MetadataHash = lease.HashMetadata(nil) })
	of("other-issuer", "of another issuer", lease.ReasonIssuer, func(c *lease.RefusalClaims) { c.Issuer += "/" })
	of("old-answer", "replay: an old refusal against a new nonce", lease.ReasonNonce, func(c *lease.RefusalClaims) { c.Nonce = otherNonce })
	of("nonce-case", "a nonce in another case", lease.ReasonNonce, func(c *lease.RefusalClaims) { c.Nonce = strings.ToLower(c.Nonce) })
	refused("forged-no-nonce-asked", "without a nonce in the request, no answer is fresh", lease.ReasonNonce, signer1.refusal(c), func(v *vector) { v.Nonce = "" })
	refused("forged-no-code", "an answer that has no code", lease.ReasonCode, signer1.refusal(c), func(v *vector) { v.Code = "" })
	refused("forged-no-public-key", "without a public key nothing is good", lease.ReasonKeyID, signer1.refusal(c), func(v *vector) { v.PublicKeys = nil })

	malformed := func(name, about, payload string) {
		refused("malformed-"+name, about, lease.ReasonMalformed, sign(payload))
	}
	for _, name := range []string{"iss", "iat", "nonce", "lic", "hwm", "code"} {
		rest := p[strings.Index(p, `"`+name+`":`):]
		member := rest[:strings.IndexAny(rest, ",}")]
		value := strings.TrimPrefix(member, `"`+name+`":`)
		malformed("no-"+name, "no "+name, changed(p, `"`+name+`"`, `"x`+name+`"`))
		malformed(name+"-twice", name+" twice, the same", changed(p, member, member+`,`+member))
		malformed(name+"-null", name+" is null", changed(p, member, `"`+name+`":null`))
		malformed(name+"-array", name+" in a list", changed(p, member, `"`+name+`":[`+value+`]`))
		if name == "iat" {
			malformed(name+"-type", name+" is a string", changed(p, member, `"iat":`+strconv.Quote(value)))
			continue
		}
		malformed(name+"-type", name+" is a number", changed(p, member, `"`+name+`":1`))
		malformed(name+"-empty", name+" is empty", changed(p, member, `"`+name+`":""`))
		malformed(name+"-long", name+" has 513 bytes", changed(p, member, `"`+name+`":"`+strings.Repeat("a", 513)+`"`))
	}
	malformed("iat-milliseconds", "a time in milliseconds", changed(p, `,"nonce"`, `000,"nonce"`))
	malformed("iat-fraction", "a time with a fraction", changed(p, `,"nonce"`, `.5,"nonce"`))
	malformed("lic-uppercase", "a hash in uppercase", changed(p, c.LicenseKeyHash, strings.ToUpper(c.LicenseKeyHash)))
	malformed("claims-empty", "no claims", "")
	malformed("claims-null", "claims that are null", "null")
	malformed("claims-array", "claims in a list", "["+p+"]")
	malformed("claims-trailing-data", "something after the claims' JSON", p+"{}")
	malformed("claims-cut", "half the claims", p[:len(p)-1])
	malformed("other-claim-twice", "a claim that a proof does not know, twice", changed(p, `{"iss"`, `{"x":1,"x":2,"iss"`))
	malformed("nested-name-twice", "a repeated name at depth", changed(p, `{"iss"`, `{"x":[{"y":1,"y":2}],"iss"`))
}
