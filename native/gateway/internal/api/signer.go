package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/whop-license/whop-license/shared/lease"
)

// endAllowance is how long past a membership's own end a lease may reach, its
// grace included: room for clocks that differ and for a renewal that Whop tells
// of late.
const endAllowance = time.Hour

// leases signs answers: a lease where they say valid, a proof where they refuse.
type leases struct {
	issuer     string
	ttl, grace time.Duration
	signer     jose.Signer // of leases
	prover     jose.Signer // of refusals
	published  jose.JSONWebKeySet
}

// newLeases reads the signing keys. The first one signs; all are published, so
// that a key can be known before it is used and after.
func newLeases(s *settings) (*leases, error) {
	if len(s.SigningKey) == 0 {
		return nil, nil
	}
	l := &leases{issuer: s.Issuer, ttl: s.LeaseTTL, grace: s.OfflineGrace, published: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}}
	for i, file := range s.SigningKey {
		key, err := readSigningKey(file)
		if err != nil {
			return nil, fmt.Errorf("--signing-key: %s: %w", file, err)
		}
		if len(l.published.Key(key.KeyID)) > 0 {
			return nil, fmt.Errorf("--signing-key: %s: is given twice", file)
		}
		l.published.Keys = append(l.published.Keys, key.Public())
		if i > 0 {
			continue
		}
		if l.signer, err = newSigner(key, lease.Type); err == nil {
			l.prover, err = newSigner(key, lease.RefusalType)
		}
		if err != nil {
			return nil, fmt.Errorf("--signing-key: %s: %w", file, err)
		}
	}
	return l, nil
}

func newSigner(key *jose.JSONWebKey, kind jose.ContentType) (jose.Signer, error) {
	options := (&jose.SignerOptions{}).WithType(kind)
	return jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, options)
}

// maxKeyFile bounds what is read of a file that is said to be a key.
const maxKeyFile = 16 << 10

// readSigningKey reads a private Ed25519 key as [keygen] writes it. Its errors
// hold nothing of the key.
func readSigningKey(file string) (*jose.JSONWebKey, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return nil, errors.New("is not a key; make one with: whop-license-gateway keygen FILE")
	}
	private, ok := key.Key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("is not a private Ed25519 key; make one with: whop-license-gateway keygen FILE")
	}
	public := private.Public().(ed25519.PublicKey)
	// A file whose halves don't belong together would sign leases that nobody
	// can check.
	if !ed25519.NewKeyFromSeed(private.Seed()).Equal(private) {
		return nil, errors.New("its private and public halves don't belong together")
	}
	return newJWK(private, lease.KeyID([32]byte(public))), nil
}

func newJWK(private ed25519.PrivateKey, id string) *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"}
}

// keygen writes a new signing key to file, which must not exist, as a private
// JWK that only its owner may read, and the public half to out: the text that
// apps are built with, and its id. With no file the key itself goes to out.
func keygen(file string, out io.Writer) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	key := newJWK(private, lease.KeyID([32]byte(public)))
	text, err := json.Marshal(key)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if file == "" {
		_, err := out.Write(text)
		return err
	}
	f, err := createPrivate(file)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "public key  %s\nkid         %s\n", base64.RawURLEncoding.EncodeToString(public), key.KeyID)
	return err
}

// sign returns the lease of a license that is valid for the machine that asked.
func (l *leases) sign(m *membership, q *query, now time.Time) (string, error) {
	iat := now.Unix()
	exp, grace := iat+int64(l.ttl.Seconds()), int64(l.grace.Seconds())
	if end := m.end(); end != nil {
		// An end that has passed is one that Whop has not acted on yet.
		last := max(*end, iat) + int64(endAllowance.Seconds())
		exp = min(exp, last)
		grace = min(grace, last-exp)
	}
	key, machine, err := q.hashes()
	if err != nil {
		return "", err
	}
	return signed(l.signer, lease.Claims{
		Issuer: l.issuer, Subject: m.id, Audience: m.product,
		IssuedAt: iat, NotBefore: iat, ExpiresAt: exp, Grace: grace, Nonce: q.nonce,
		LicenseKeyHash: key, MetadataHash: machine,
	})
}

// prove returns the proof of a refusal: that this gateway gave this code to this
// very request, which has a nonce.
func (l *leases) prove(code string, q *query, now time.Time) (string, error) {
	key, machine, err := q.hashes()
	if err != nil {
		return "", err
	}
	return signed(l.prover, lease.RefusalClaims{
		Issuer: l.issuer, IssuedAt: now.Unix(), Nonce: q.nonce,
		LicenseKeyHash: key, MetadataHash: machine, Code: code,
	})
}

func signed(signer jose.Signer, claims interface{ Payload() ([]byte, error) }) (string, error) {
	payload, err := claims.Payload()
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// hashes returns the claims "lic" and "hwm", which say what was asked.
func (q *query) hashes() (key, machine string, err error) {
	sent := jsontext.Value(q.sent.canonical())
	if err := sent.Canonicalize(); err != nil {
		return "", "", err
	}
	k, m := sha256.Sum256([]byte(q.key)), sha256.Sum256(sent)
	return hex.EncodeToString(k[:]), hex.EncodeToString(m[:]), nil
}

// serveKeys publishes the keys, so that other software can check leases too.
func (l *leases) serveKeys(w http.ResponseWriter) {
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	if l != nil {
		keys = l.published
	}
	writeJSON(w, http.StatusOK, keys)
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
