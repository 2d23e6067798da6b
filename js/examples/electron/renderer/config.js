// What you set: your gateway, the public key that `whop-license-gateway keygen`
// printed, and your product's id. None of it is secret.
export const endpoint = "https://license.example.com";
export const publicKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
export const audience = "prod_example";
