package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/whop-license/whop-license/native/gateway/internal/api"
	"github.com/whop-license/whop-license/shared/lease"
)

// newProofs reads the signing keys. Without one, nothing is signed.
func newProofs(s *settings) (api.Proofs, error) {
	if len(s.SigningKey) == 0 {
		return api.Unsigned{}, nil
	}
	var keys []*jose.JSONWebKey
	for _, file := range s.SigningKey {
		key, err := readSigningKey(file)
		if err != nil {
			return nil, fmt.Errorf("--signing-key: %s: %w", file, err)
		}
		if slices.ContainsFunc(keys, func(k *jose.JSONWebKey) bool { return k.KeyID == key.KeyID }) {
			return nil, fmt.Errorf("--signing-key: %s: is given twice", file)
		}
		keys = append(keys, key)
	}
	signer, err := api.NewSigner(s.Issuer, s.LeaseTTL, s.OfflineGrace, keys)
	if err != nil {
		return nil, fmt.Errorf("--signing-key: %s: %w", s.SigningKey[0], err)
	}
	return signer, nil
}

// maxKeyFile bounds how much is read of a key file.
const maxKeyFile = 16 << 10

// readSigningKey reads a private Ed25519 key as [keygen] writes it. Its errors
// contain nothing of the key.
func readSigningKey(file string) (*jose.JSONWebKey, error) {
	text, err := readStart(file, maxKeyFile)
	if err != nil {
		return nil, errors.Unwrap(err) // without the file's name
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
	// If the halves of the key didn't belong together, no app could verify the
	// leases.
	if !ed25519.NewKeyFromSeed(private.Seed()).Equal(private) {
		return nil, errors.New("its private and public keys don't belong together")
	}
	return newJWK(private, lease.KeyID([32]byte(public))), nil
}

// readStart reads a file, at most as many bytes as said, because a device has no end.
// Its errors are of the type [*os.PathError].
func readStart(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

func newJWK(private ed25519.PrivateKey, id string) *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: private, KeyID: id, Algorithm: string(jose.EdDSA), Use: "sig"}
}

// keygen writes a new signing key to file, which must not exist, as a private
// JWK that only its owner may read, and the public half to out: the text that
// apps are built with, and its id. Without a file, the key itself goes to out.
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
	if err := writePrivate(file, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "public key  %s\nkid         %s\n", base64.RawURLEncoding.EncodeToString(public), key.KeyID)
	return err
}

// writePrivate writes a file that only its owner may read. It must not exist.
func writePrivate(file string, text []byte) error {
	f, err := createPrivate(file)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
