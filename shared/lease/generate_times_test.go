//go:build !js

package lease_test

import "github.com/whop-license/whop-license/shared/lease"

// addFresh adds answers to the request just made. Its nonce proves that they
// are fresh, so the clock (nowMs) may say what it likes.
func addFresh(all vectors) {
	base := claims()
	fresh := func(name, about string, c lease.Claims, nowMs lease.Milliseconds) {
		all.add("verify-"+name, about, call("verify", signer1.lease(c)).taken(c), func(v *vector) { v.NowMs = nowMs })
	}
	at := lease.Seconds(issuedAt)
	fresh("clock-slow", "a clock that is nine hours behind, as one that takes local time for UTC", base, at-9*hourMs)
	fresh("clock-slow-days", "a clock that is days behind", base, at-3*dayMs)
	fresh("clock-fast", "a clock that is fast by two hours", base, at+2*hourMs)
	fresh("clock-past-exp", "a clock that is past the lease's exp", base, lease.Seconds(base.ExpiresAt))
	fresh("clock-past-grace", "a clock that is years past the lease's grace", base, at+5*365*dayMs)
	fresh("clock-1970", "a clock that lost its battery", base, 0)
	early := base
	early.NotBefore -= hour
	fresh("valid-since-before", "an nbf before iat is no matter", early, nowMs)

	refused := func(name, about string, reason lease.Reason, c lease.Claims) {
		all.add("forged-"+name, about, call("verify", signer1.lease(c)).refused(reason))
	}
	later := base
	later.NotBefore++
	refused("not-yet-valid", "not valid at its own time of issue", lease.ReasonNotYetValid, later)
	dead := base
	dead.ExpiresAt = dead.IssuedAt
	refused("never-valid", "expired at its own time of issue", lease.ReasonExpired, dead)
}

// stored adds a call of standIn with a good lease, which is refused for reason,
// or taken where that is empty.
func (all vectors) stored(name, about string, reason lease.Reason, clock lease.Clock, change ...func(*vector)) {
	v := call("standIn", signer1.lease(claims()))
	v.NowMs, v.SkewMs, v.LastSeenMs = clock.Now, clock.Skew, clock.LastSeen
	if reason == "" {
		v = v.taken(claims())
	} else {
		v = v.refused(reason)
	}
	all.add("stand-in-"+name, about, v, change...)
}

func addStored(all vectors) {
	base := claims()
	at := lease.Seconds(issuedAt)
	stored := func(name, about string, reason lease.Reason, nowMs, lastSeenMs lease.Milliseconds, change ...func(*vector)) {
		all.stored(name, about, reason, lease.Clock{Now: nowMs, LastSeen: lastSeenMs}, change...)
	}
	drift, until := lease.Drift, lease.Seconds(base.StandsInUntil())
	stored("at-once", "right after it was issued", "", nowMs, nowMs)
	stored("no-last-seen", "an installation that knows no latest time", "", nowMs, 0)
	stored("unexpired", "before exp", "", at+23*hourMs, at)
	stored("in-grace", "past exp, within the grace", "", at+5*dayMs, at)
	stored("last-moment", "the last moment of the grace", "", until, at)
	stored("run-out", "a millisecond later", lease.ReasonExpired, until+1, at)
	stored("run-out-long-ago", "years later", lease.ReasonExpired, until+2*365*dayMs, at)
	stored("clock-forward", "a clock turned forward past the grace", lease.ReasonExpired, at+30*dayMs, at)
	stored("clock-forward-and-back", "the clock was forward once, and that time was seen", lease.ReasonClock, at+dayMs, at+30*dayMs)
	stored("clock-back", "a clock turned back before the latest time seen", lease.ReasonClock, at+dayMs, at+2*dayMs)
	stored("clock-back-to-stay-in-grace", "a clock turned back into the grace when it had run out", lease.ReasonClock, until-1, until+dayMs)
	stored("clock-back-by-drift", "behind the latest time seen by the drift", "", at+dayMs-drift, at+dayMs)
	stored("clock-back-beyond-drift", "a millisecond more", lease.ReasonClock, at+dayMs-drift-1, at+dayMs)
	stored("clock-back-by-drift-at-the-end", "turning a clock back by the drift adds nothing to the grace", lease.ReasonExpired, until+1-drift, until+1)
	stored("clock-frozen", "a clock that stands still is as good as its time", "", nowMs, nowMs)
	stored("clock-frozen-while-running", "a clock that stands still while time is known to pass", lease.ReasonClock, nowMs, nowMs+6*60*1000)
	stored("clock-frozen-at-the-end", "a clock that stood still, at the end of the grace", lease.ReasonExpired, until-1000, until+1000)
	stored("iat-ahead-by-drift", "issued ahead of this clock by the drift", "", at-drift, 0)
	stored("iat-in-the-future", "a millisecond more", lease.ReasonClock, at-drift-1, 0)
	stored("clock-1970", "a clock that lost its battery", lease.ReasonClock, 0, 0)
	stored("clock-before-1970", "a clock before 1970", lease.ReasonClock, -at, 0)
	stored("last-seen-largest", "the greatest whole number of JavaScript as the latest time seen", lease.ReasonClock, nowMs, 1<<53-1)
	stored("last-seen-negative", "a negative latest time seen is none", "", nowMs, -1<<53+1)
	stored("now-largest", "the greatest whole number of JavaScript as the time", lease.ReasonExpired, 1<<53-1, 0)

	stored("other-key", "a stored lease of another key", lease.ReasonLicenseKey, nowMs, 0, func(v *vector) { v.LicenseKey = "Z9Z9Z9-D4E5F6-G7H8I9" })
	stored("other-machine", "a store copied to another machine", lease.ReasonMetadata, nowMs, 0, func(v *vector) { v.Metadata = map[string]string{"HWID": "m2"} })
	stored("other-product", "a stored lease of another product", lease.ReasonAudience, nowMs, 0, func(v *vector) { v.Audience = "prod_other" })
	stored("other-issuer", "a stored lease of another server", lease.ReasonIssuer, nowMs, 0, func(v *vector) { v.Issuer = "https://other.example" })
	stored("key-retired", "a stored lease of a key that is no longer trusted", lease.ReasonKeyID, nowMs, 0, func(v *vector) { v.PublicKeys = []string{signer2.public()} })
	stored("altered", "a stored lease with another signature", lease.ReasonSignature, nowMs, 0, func(v *vector) { v.Token = signer2.sign(signer1.header(), payload(base)) })
	stored("corrupt", "half a stored lease", lease.ReasonMalformed, nowMs, 0, func(v *vector) { v.Token = v.Token[:len(v.Token)/2] })
	stored("no-public-key", "a stored lease is nothing without a public key", lease.ReasonKeyID, nowMs, 0, func(v *vector) { v.PublicKeys = nil })
	unasked := base
	unasked.Nonce = ""
	all.add("stand-in-no-nonce", "a lease for a request without a nonce may stand in", call("standIn", signer1.lease(unasked)).taken(unasked))
}

// addSkews adds clocks that were wrong when the lease came: by how much is its
// skew, which is the server's time less the clock's.
func addSkews(all vectors) {
	base := claims()
	at, until, drift := lease.Seconds(issuedAt), lease.Seconds(base.StandsInUntil()), lease.Drift
	// off is what the clock says less the right time, now as when the lease came
	// unless turned by some more since; passed is the right time since then.
	skewed := func(name, about string, reason lease.Reason, off, turned, passed, seen lease.Milliseconds) {
		all.stored("skew-"+name, about, reason, lease.Clock{Now: at + passed + off + turned, Skew: -off, LastSeen: seen})
	}
	for _, c := range []struct {
		name, text string
		off        lease.Milliseconds
	}{{"slow", "slow by nine hours", -9 * hourMs}, {"fast", "fast by nine hours", 9 * hourMs}, {"decades", "slow by fifty years", -50 * 365 * 24 * hourMs}} {
		skewed(c.name+"-at-once", "a clock that is "+c.text+", as it was", "", c.off, 0, 2000, at)
		skewed(c.name+"-last-moment", "a clock that is "+c.text+", in the last moment of the grace", "", c.off, 0, until-at, at)
		skewed(c.name+"-run-out", "a clock that is "+c.text+", a millisecond later", lease.ReasonExpired, c.off, 0, until-at+1, at)
		// A clock that is ahead can be turned back by less than that and still show no
		// earlier time than was seen, as one that is set right does.
		turned := lease.ReasonClock
		if c.off > 0 {
			turned = ""
		}
		skewed(c.name+"-turned-back", "a clock that is "+c.text+", and was turned back by an hour since", turned, c.off, -hourMs, 24*hourMs, at+24*hourMs)
		skewed(c.name+"-turned-back-by-drift", "a clock that is "+c.text+", and is behind the latest time seen by the drift", "", c.off, -drift, 24*hourMs, at+24*hourMs)
		skewed(c.name+"-turned-back-to-stay-in-grace", "a clock that is "+c.text+", turned back once the grace had run out", lease.ReasonClock, c.off, -48*hourMs, until-at+24*hourMs, until+24*hourMs)
		skewed(c.name+"-turned-forward", "a clock that is "+c.text+", and was turned forward past the grace", lease.ReasonExpired, c.off, 30*24*hourMs, hourMs, at)
		skewed(c.name+"-frozen", "a clock that is "+c.text+", and stands still while time is known to pass", turned, c.off, -6*60*1000, 6*60*1000, at+6*60*1000)
		skewed(c.name+"-frozen-at-the-end", "a clock that is "+c.text+", and stood still at the end of the grace", lease.ReasonExpired, c.off, -2000, until-at+1000, until+1000)
		skewed(c.name+"-suspended", "a clock that is "+c.text+", of a machine that slept for two days", "", c.off, 0, 48*hourMs, at+hourMs)
	}
	skewed("slow-put-right", "a slow clock that was put right since: the lease ends early by as much", "", -9*hourMs, 9*hourMs, hourMs, at)
	skewed("slow-put-right-at-the-end", "a slow clock that was put right, in the grace's last nine hours", lease.ReasonExpired, -9*hourMs, 9*hourMs, until-at-8*hourMs, at)
	skewed("fast-put-right", "a fast clock that was put right since", "", 9*hourMs, -9*hourMs, hourMs, at)
	skewed("fast-put-right-at-the-end", "a fast clock that was put right, in the last moment of the grace", "", 9*hourMs, -9*hourMs, until-at, until-hourMs)
	skewed("fast-put-right-run-out", "a millisecond later, where it can't be told from one that was turned back", lease.ReasonClock, 9*hourMs, -9*hourMs, until-at+1, until-hourMs)
	skewed("fast-turned-back-past-right", "a fast clock that was turned back to before the latest time seen", lease.ReasonClock, 9*hourMs, -10*hourMs, hourMs, at+hourMs)
	skewed("before-iat-by-drift", "behind the lease's time of issue by the drift, with a skew", "", -9*hourMs, -drift, 0, 0)
	skewed("before-iat", "a millisecond more", lease.ReasonClock, -9*hourMs, -drift-1, 0, 0)
}
