/**
 * What the package's files are known by, generated at build time: the SHA-256 of
 * the module, and by platform that of the sidecar as programDigest makes it, in
 * lowercase hexadecimal digits. A development build knows this machine's alone.
 */
export const CHECKSUMS: { wasm: string; programs: Record<string, string> };
