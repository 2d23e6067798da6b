package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/native/gateway/internal/network"
	"github.com/whop-license/whop-license/shared/lease"
	"github.com/whop-license/whop-license/shared/license"
)

// request is one validation that an app asks for.
type request struct {
	check.Query
	nonce string // to be signed with the answer; empty if the app sent none
	done  func() // releases the memory of the body
}

// read reads a query from a request, or returns what is wrong with it.
func (a *API) read(w http.ResponseWriter, r *http.Request, q *request) error {
	// Browsers let any page send a body to any server without a preflight, unless it
	// is JSON.
	if !a.origins.allows(r) && !isJSON(r.Header.Get("Content-Type")) {
		a.origins.refuse(r.Header.Get("Origin"))
		return errors.New("content-type: must be application/json, because the page's origin is not in --allowed-origin")
	}
	q.readKey(r.URL.EscapedPath())
	body, done, err := a.bodies.read(w, r, maxBody)
	q.done = done
	if errors.Is(err, errNoRoom) {
		return err
	} else if errors.As(err, new(*http.MaxBytesError)) {
		return errors.New("body: is over 64 KiB")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	} else if err != nil {
		return errors.New("body: could not be read")
	}
	var sent struct {
		Metadata binding.Metadata `json:"metadata"`
		Nonce    string           `json:"nonce"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return errors.New(`body: is not a JSON object such as {"metadata": {"HWID": "…"}}`)
	}
	if sent.Metadata == nil {
		return errors.New("metadata: is missing; send {} to name no machine")
	}
	if err := a.rules.Check(sent.Metadata); err != nil {
		return err
	}
	if err := checkNonce(sent.Nonce); err != nil {
		return err
	}
	q.Sent, q.nonce, q.KeepsLease = sent.Metadata, sent.Nonce, sent.Nonce != ""
	a.adviseProxies(r)
	return nil
}

// adviseProxies warns the seller of a proxy whose clients all share one rate
// limit.
func (a *API) adviseProxies(r *http.Request) {
	trusted, forwarded := network.Contain(a.trusted, network.Addr(r.RemoteAddr)), r.Header.Get("X-Forwarded-For") != ""
	if !trusted && forwarded {
		a.metrics.ProxyProblem("not_trusted")
		a.untrusted.Do(func() {
			a.log.Warn("a request with X-Forwarded-For came from an address that is not a trusted proxy; if it is your proxy, list it in --trusted-proxies, because otherwise all its clients share one rate limit")
		})
	}
	if trusted && !forwarded {
		a.metrics.ProxyProblem("no_header")
		a.unnamed.Do(func() {
			a.log.Warn("a trusted proxy sent a request without X-Forwarded-For; make it send that header, because otherwise all its clients share one rate limit")
		})
	}
}

// readKey reads the license key from a path. It also keeps text that can't be a
// license key, because the proof of its refusal includes it.
func (q *request) readKey(path string) {
	segment, _ := licenseSegment(path)
	raw, err := url.PathUnescape(segment)
	if err != nil || strings.Contains(segment, "/") {
		q.Key, q.NotAKey = segment, true
	} else if q.Key, err = license.ParseKey(raw); err != nil {
		q.Key, q.NotAKey = strings.TrimSpace(raw), true
	}
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

// hashes returns the claims "lic" and "hwm", which say what was asked.
func (q *request) hashes() (key, machine string, err error) {
	sent := jsontext.Value(q.Sent.Canonical())
	if err := sent.Canonicalize(); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(sent)
	return lease.HashLicenseKey(q.Key), hex.EncodeToString(sum[:]), nil
}

// checkNonce returns what is wrong with a request's nonce: 16 bytes of unpadded
// base64url, or none.
func checkNonce(nonce string) error {
	if nonce == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 16 || len(nonce) != 22 {
		return errors.New("nonce: is not 16 bytes in unpadded base64url")
	}
	return nil
}
