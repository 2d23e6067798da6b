/** What is shipped beside the code, by its SHA-256 in lowercase hexadecimal digits; generated at build time. */
export const CHECKSUMS: { wasm: string };
