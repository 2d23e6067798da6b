package lease_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"

	"github.com/whop-license/whop-license/shared/lease"
)

// exampleKey is a gateway's signing key. A real one is random and secret.
var exampleKey = ed25519.NewKeyFromSeed(make([]byte, 32))

// examplePublicKey is what an app is built with.
func examplePublicKey() lease.PublicKey {
	text := base64.RawURLEncoding.EncodeToString(exampleKey.Public().(ed25519.PublicKey))
	key, err := lease.ParsePublicKey(text)
	if err != nil {
		panic(err)
	}
	return key
}

// exampleSign signs as a gateway does. Any JWS library can do the same.
func exampleSign(typ string, payload []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	header := `{"alg":"EdDSA","kid":"` + examplePublicKey().ID() + `","typ":"` + typ + `"}`
	signed := encode([]byte(header)) + "." + encode(payload)
	return signed + "." + encode(ed25519.Sign(exampleKey, []byte(signed)))
}

// exampleRequest is what an app asked about: which license key, which machine.
var exampleRequest = lease.Expect{
	LicenseKeyHash: lease.HashLicenseKey("A1B2C3-D4E5F6-G7H8I9"),
	MetadataHash:   lease.HashMetadata(map[string]string{"HWID": "m1"}),
}

func exampleLease(nonce string) string {
	payload, err := lease.Claims{
		Issuer: "https://license.example.com", Subject: "mem_1", Audience: "prod_1",
		IssuedAt: 1_800_000_000, NotBefore: 1_800_000_000, ExpiresAt: 1_800_086_400, Grace: 7 * 86_400,
		Nonce:          nonce,
		LicenseKeyHash: exampleRequest.LicenseKeyHash, MetadataHash: exampleRequest.MetadataHash,
	}.Payload()
	if err != nil {
		panic(err)
	}
	return exampleSign(lease.Type, payload)
}

// A lease proves a yes to the request that carried its nonce, and to no other.
func ExampleVerify() {
	keys := []lease.PublicKey{examplePublicKey()}
	nonce := lease.Nonce([16]byte{1})
	token := exampleLease(nonce)

	claims, err := lease.Verify(token, keys, exampleRequest, nonce)
	fmt.Println(claims.Subject, err)
	_, err = lease.Verify(token, keys, exampleRequest, lease.Nonce([16]byte{2}))
	fmt.Println(err.(*lease.Error).Reason)
	// Output:
	// mem_1 <nil>
	// nonce
}

// A stored lease stands in until it and its grace have run out.
func ExampleStandIn() {
	keys := []lease.PublicKey{examplePublicKey()}
	token := exampleLease(lease.Nonce([16]byte{1}))
	for _, days := range []int64{0, 8, 9} {
		now := lease.Seconds(1_800_000_000 + days*86_400)
		_, err := lease.StandIn(token, keys, exampleRequest, lease.Clock{Now: now})
		fmt.Println(days, err)
	}
	// Output:
	// 0 <nil>
	// 8 <nil>
	// 9 the lease and its grace have run out; connect to the server to renew it
}

// The proof of a refusal is bound to the error code of the response.
func ExampleVerifyRefusal() {
	nonce := lease.Nonce([16]byte{1})
	payload, err := lease.RefusalClaims{
		Issuer: "https://license.example.com", IssuedAt: 1_800_000_000, Nonce: nonce, Code: "not_found",
		LicenseKeyHash: exampleRequest.LicenseKeyHash, MetadataHash: exampleRequest.MetadataHash,
	}.Payload()
	if err != nil {
		panic(err)
	}
	proof := exampleSign(lease.RefusalType, payload)
	keys := []lease.PublicKey{examplePublicKey()}

	_, err = lease.VerifyRefusal(proof, keys, exampleRequest, nonce, "not_found")
	fmt.Println(err)
	_, err = lease.VerifyRefusal(proof, keys, exampleRequest, nonce, "license_inactive")
	fmt.Println(err)
	// Output:
	// <nil>
	// the refusal's proof is for another refusal than that of the response
}

func ExampleCanonicalMetadata() {
	fmt.Printf("%s\n", lease.CanonicalMetadata(map[string]string{"HWID": "m1", "App": "1.2"}))
	// Output: {"App":"1.2","HWID":"m1"}
}
