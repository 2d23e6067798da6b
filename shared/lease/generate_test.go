//go:build !js

package lease_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/testdata"
)

var update = flag.Bool("update", false, "write the vectors that this package makes")

// joseLease signs as a server would, with go-jose.
func (s signer) joseLease(c lease.Claims) string {
	key := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: s.private, KeyID: s.kid()}}
	made, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType(lease.Type))
	must(err)
	jws, err := made.Sign([]byte(payload(c)))
	must(err)
	token, err := jws.CompactSerialize()
	must(err)
	return token
}

// otherNonce is that of another request.
const otherNonce = "EBESExQVFhcYGRobHB0eHw"

func refusalPayload(c lease.RefusalClaims) string {
	p, err := c.Payload()
	must(err)
	return string(p)
}

func (s signer) refusal(c lease.RefusalClaims) string {
	return s.sign(s.headerOf(lease.RefusalType), refusalPayload(c))
}

// vectors collects the cases, which differ from one good call.
type vectors map[string]vector

func (all vectors) add(name, about string, v vector, change ...func(*vector)) {
	v.About = about
	for _, f := range change {
		f(&v)
	}
	if _, twice := all[name]; twice {
		panic("two vectors named " + name)
	}
	all[name] = v
}

func call(name, token string) vector {
	c := claims()
	v := vector{
		Call: name, Token: token, PublicKeys: []string{signer1.public()},
		LicenseKey: licenseKey, Metadata: metadata, Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, NowMs: nowMs,
	}
	if name != "standIn" {
		v.Nonce = c.Nonce
	}
	if name == "verifyRefusal" {
		v.Code, v.Audience, v.Subject, v.NowMs = refusalClaims().Code, "", "", 0
	}
	return v
}

func (v vector) refused(reason lease.Reason) vector { v.Want = want{Reason: reason}; return v }

func (v vector) taken(c lease.Claims) vector {
	v.Want = want{Claims: json.RawMessage(payload(c)), StandsInUntil: c.ExpiresAt + c.Grace}
	return v
}

func forged(reason lease.Reason, token string) vector { return call("verify", token).refused(reason) }

// sample is a good token of one kind, and the question that takes it.
type sample struct {
	prefix, call, typ string
	payload           string
	other             string // the payload of the answer to another request
}

func samples() [2]sample {
	c, r := claims(), refusalClaims()
	otherLease, otherRefusal := c, r
	otherLease.Nonce, otherRefusal.Nonce = otherNonce, otherNonce
	return [2]sample{
		{"", "verify", lease.Type, payload(c), payload(otherLease)},
		{"refusal-", "verifyRefusal", lease.RefusalType, refusalPayload(r), refusalPayload(otherRefusal)},
	}
}

func (made sample) header(by signer) string { return by.headerOf(made.typ) }

func (made sample) token(by signer) string { return by.sign(made.header(by), made.payload) }

func (made sample) forged(reason lease.Reason, token string) vector {
	return call(made.call, token).refused(reason)
}

func changed(text, from, to string) string {
	if strings.Count(text, from) != 1 {
		panic("not there once: " + from)
	}
	return strings.Replace(text, from, to, 1)
}

// TestVectorsAreCurrent makes every vector anew, and finds it committed.
func TestVectorsAreCurrent(t *testing.T) {
	all := vectors{}
	addGood(all)
	for _, made := range samples() {
		addForms(all, made)
		addHeaders(all, made)
		addSignatures(all, made)
	}
	addClaims(all)
	addRefusals(all)
	addFresh(all)
	addStored(all)
	addSkews(all)
	addKeys(all)
	for name, v := range all {
		var made bytes.Buffer
		e := json.NewEncoder(&made)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		require.NoError(t, e.Encode(v))
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join("..", "testdata", "lease", name+".json"), made.Bytes(), 0o644))
			continue
		}
		committed, err := testdata.File("lease", name)
		require.NoError(t, err)
		assert.Equal(t, string(committed), made.String(), "run go test ./shared/lease -run TestVectorsAreCurrent -update")
	}
	eachVector(t, func(name string, v vector) {
		if _, made := all[name]; !made {
			assert.NotEmpty(t, v.Captured, "%s is neither made here nor captured from other software", name)
		}
	})
}
