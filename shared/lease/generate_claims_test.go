//go:build !js

package lease_test

import (
	"strconv"
	"strings"

	"github.com/whop-license/whop-license/shared/lease"
)

func addClaims(all vectors) {
	c := claims()
	p := payload(c)
	// Altered after signing.
	altered := func(name, about, from, to string) {
		part := strings.Split(signer1.lease(c), ".")
		all.add("forged-altered-"+name, about+" altered after signing", forged(lease.ReasonSignature, part[0]+"."+b64([]byte(changed(p, from, to)))+"."+part[2]))
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	exp, grace := `"exp":`+number(c.ExpiresAt), `"grace":`+number(c.Grace)
	altered("exp", "a later exp,", exp, `"exp":`+number(c.ExpiresAt+day))
	altered("grace", "a longer grace,", grace, `"grace":`+number(c.Grace*4))
	altered("nonce", "the nonce", c.Nonce, "EBESExQVFhcYGRobHB0eHw")
	altered("lic", "the license key", c.LicenseKeyHash, lease.HashLicenseKey("Z9Z9Z9-D4E5F6-G7H8I9"))
	altered("hwm", "the machine", c.MetadataHash, lease.HashMetadata(map[string]string{"HWID": "m2"}))
	altered("aud", "the product", c.Audience, "prod_other")
	altered("iss", "the issuer", c.Issuer, "https://forger.example")
	altered("nothing", "a space that means nothing,", `,"aud"`, `, "aud"`)

	// Well signed, for something else.
	of := func(name, about string, reason lease.Reason, change func(*lease.Claims)) {
		other := c
		change(&other)
		all.add("forged-of-"+name, about, forged(reason, signer1.lease(other)))
	}
	of("other-key", "a lease of another license key", lease.ReasonLicenseKey, func(c *lease.Claims) { c.LicenseKeyHash = lease.HashLicenseKey("Z9Z9Z9-D4E5F6-G7H8I9") })
	of("key-in-lowercase", "a lease of the key in another case", lease.ReasonLicenseKey, func(c *lease.Claims) { c.LicenseKeyHash = lease.HashLicenseKey(strings.ToLower(licenseKey)) })
	of("other-machine", "a lease of another machine", lease.ReasonMetadata, func(c *lease.Claims) { c.MetadataHash = lease.HashMetadata(map[string]string{"HWID": "m2"}) })
	of("no-machine", "a lease of the same key for no machine", lease.ReasonMetadata, func(c *lease.Claims) { c.MetadataHash = lease.HashMetadata(nil) })
	of("other-metadata-name", "the same machine id under another name", lease.ReasonMetadata, func(c *lease.Claims) { c.MetadataHash = lease.HashMetadata(map[string]string{"hwid": "m1"}) })
	of("other-product", "a lease of another product", lease.ReasonAudience, func(c *lease.Claims) { c.Audience = "prod_other" })
	of("other-issuer", "a lease of another issuer", lease.ReasonIssuer, func(c *lease.Claims) { c.Issuer = "https://licenses.example.com.forger.example" })
	of("issuer-with-slash", "an issuer that differs by a slash", lease.ReasonIssuer, func(c *lease.Claims) { c.Issuer += "/" })
	of("other-membership", "a lease of another membership than the answer's", lease.ReasonSubject, func(c *lease.Claims) { c.Subject = "mem_other" })
	of("old-answer", "replay: an old positive answer against a new nonce", lease.ReasonNonce, func(c *lease.Claims) {
		c.Nonce, c.IssuedAt, c.NotBefore = "EBESExQVFhcYGRobHB0eHw", c.IssuedAt-hour, c.NotBefore-hour
	})
	of("no-nonce", "a lease for a request without a nonce", lease.ReasonNonce, func(c *lease.Claims) { c.Nonce = "" })
	of("nonce-case", "a nonce in another case", lease.ReasonNonce, func(c *lease.Claims) { c.Nonce = strings.ToLower(c.Nonce) })
	all.add("forged-no-nonce-asked", "without a nonce in the request, no answer is fresh, not even one without", call("verify", signer1.lease(func() lease.Claims { c := c; c.Nonce = ""; return c }())).refused(lease.ReasonNonce), func(v *vector) { v.Nonce = "" })
	all.add("forged-no-public-key", "without a public key nothing is good", forged(lease.ReasonKeyID, signer1.lease(c)), func(v *vector) { v.PublicKeys = nil })

	// Well signed, but no lease.
	malformed := func(name, about, payload string) {
		all.add("malformed-"+name, about, forged(lease.ReasonMalformed, signer1.sign(signer1.header(), payload)))
	}
	for _, name := range []string{"iss", "sub", "aud", "iat", "nbf", "exp", "nonce", "lic", "hwm", "grace"} {
		malformed("no-"+name, "no "+name, changed(p, `"`+name+`"`, `"x`+name+`"`))
		rest := p[strings.Index(p, `"`+name+`":`):]
		member := rest[:strings.IndexAny(rest, ",}")]
		malformed(name+"-twice", name+" twice, the same", changed(p, member, member+`,`+member))
		malformed(name+"-null", name+" is null", changed(p, member, `"`+name+`":null`))
		wrong := "1"
		if strings.Contains("iat nbf exp grace", name) {
			wrong = `"` + strings.TrimPrefix(member, `"`+name+`":`) + `"`
		}
		malformed(name+"-type", name+" has the wrong type", changed(p, member, `"`+name+`":`+wrong))
	}
	aud := `"` + c.Audience + `"`
	all.add("verify-audience-list", "an audience may be a list of one", call("verify", signer1.sign(signer1.header(), changed(p, aud, `[`+aud+`]`))).taken(c))
	malformed("aud-two", "a lease is for one product", changed(p, aud, `[`+aud+`,"prod_other"]`))
	malformed("aud-none", "an audience of none", changed(p, aud, `[]`))
	malformed("aud-nested", "an audience in two lists", changed(p, aud, `[[`+aud+`]]`))
	malformed("aud-empty", "an empty audience", changed(p, aud, `""`))
	malformed("iss-empty", "an empty issuer", changed(p, `"`+c.Issuer+`"`, `""`))
	malformed("sub-empty", "an empty subject", changed(p, `"`+c.Subject+`"`, `""`))
	malformed("sub-long", "a subject of 513 bytes", changed(p, c.Subject, strings.Repeat("m", 513)))
	malformed("nonce-long", "a nonce of 513 bytes", changed(p, c.Nonce, strings.Repeat("n", 513)))

	malformed("exp-fraction", "a time with a fraction", changed(p, exp, exp+".5"))
	malformed("exp-zero-fraction", "a whole time written as a fraction", changed(p, exp, exp+".0"))
	malformed("exp-exponent", "a time with an exponent", changed(p, exp, `"exp":1.795e9`))
	malformed("exp-huge-exponent", "a time beyond any number", changed(p, exp, `"exp":1e999999999`))
	malformed("exp-negative", "a time before 1970", changed(p, exp, `"exp":-1`))
	malformed("exp-minus-zero", "minus zero", changed(p, exp, `"exp":-0`))
	malformed("exp-leading-zero", "a leading zero", changed(p, exp, `"exp":0`+number(c.ExpiresAt)))
	malformed("exp-2e63", "a time that would overflow to the past", changed(p, exp, `"exp":9223372036854775808`))
	malformed("exp-2e64", "a time that would wrap around", changed(p, exp, `"exp":18446744073709551616`))
	malformed("exp-milliseconds", "times in milliseconds", changed(p, exp, exp+"000"))
	malformed("exp-many-digits", "a thousand digits", changed(p, exp, `"exp":`+strings.Repeat("1", 1000)))
	malformed("exp-array", "a time in a list", changed(p, exp, `"exp":[`+number(c.ExpiresAt)+`]`))
	malformed("lifetime-long", "an exp more than 366 days after iat", changed(p, exp, `"exp":`+number(c.IssuedAt+lease.MaxLifetime+1)))
	malformed("grace-negative", "a negative grace", changed(p, grace, `"grace":-1`))
	malformed("grace-milliseconds", "a grace in milliseconds", changed(p, grace, grace+"000"))
	malformed("grace-long", "a grace of more than 366 days", changed(p, grace, `"grace":`+number(lease.MaxGrace+1)))
	longest := c
	longest.ExpiresAt, longest.Grace = c.IssuedAt+lease.MaxLifetime, lease.MaxGrace
	all.add("verify-longest", "as long a lifetime and grace as may be", call("verify", signer1.lease(longest)).taken(longest))
	wordy := c
	wordy.Subject = strings.Repeat("m", 512)
	all.add("verify-longest-subject", "as long a subject as may be", call("verify", signer1.lease(wordy)).taken(wordy), func(v *vector) { v.Subject = "" })
	chatty := c
	chatty.Nonce = strings.Repeat("n", 512)
	all.add("verify-longest-nonce", "as long a nonce as may be", call("verify", signer1.lease(chatty)).taken(chatty), func(v *vector) { v.Nonce = chatty.Nonce })
	none := c
	none.Grace = 0
	all.add("verify-no-grace", "no grace", call("verify", signer1.lease(none)).taken(none))

	malformed("lic-uppercase", "a hash in uppercase", changed(p, c.LicenseKeyHash, strings.ToUpper(c.LicenseKeyHash)))
	malformed("lic-short", "a hash of 63 digits", changed(p, c.LicenseKeyHash, c.LicenseKeyHash[1:]))
	malformed("hwm-empty", "an empty hash", changed(p, c.MetadataHash, ""))
	malformed("hwm-long", "a hash of 65 digits", changed(p, c.MetadataHash, c.MetadataHash+"0"))
	malformed("hwm-not-hex", "64 characters that are not all hex digits", changed(p, c.MetadataHash, c.MetadataHash[1:]+"g"))

	malformed("claims-empty", "no claims", "")
	malformed("claims-null", "claims that are null", "null")
	malformed("claims-array", "claims in a list", "["+p+"]")
	malformed("claims-string", "claims in a string", strconv.Quote(p))
	malformed("claims-trailing-data", "something after the claims' JSON", p+"{}")
	malformed("claims-trailing-nul", "a zero byte after the claims' JSON", p+"\x00")
	malformed("claims-bom", "a byte order mark before the claims", "\uFEFF"+p)
	malformed("claims-cut", "half the claims", p[:len(p)-1])
	malformed("claims-utf8", "claims that are not UTF-8", changed(p, `{"iss"`, `{"x":"`+"\xc0\xaf"+`","iss"`))
	malformed("claims-surrogate", "half a surrogate pair", changed(p, `{"iss"`, `{"x":"\udc00","iss"`))
	malformed("claims-nan", "not JSON", changed(p, `{"iss"`, `{"x":NaN,"iss"`))
	malformed("exp-twice-later", "a later exp after the first", changed(p, exp, exp+`,"exp":`+number(c.ExpiresAt+day)))
	malformed("exp-twice-escaped", "a second exp, spelled with an escape", changed(p, exp, exp+`,"\u0065xp":`+number(c.ExpiresAt+day)))
	malformed("other-claim-twice", "a claim that a lease does not know, twice", changed(p, `{"iss"`, `{"x":1,"x":2,"iss"`))
	malformed("nested-name-twice", "a repeated name at depth", changed(p, `{"iss"`, `{"x":[{"y":1,"y":2}],"iss"`))
	all.add("malformed-deep", "as deep as 4 KiB can be, and cut off", forged(lease.ReasonMalformed, signer1.sign(signer1.header(), strings.Repeat(`{"x":`, 550))))
}
