/**
 * The checksums of the package's files, generated at build time: the SHA-256 of the
 * module, and for each platform the `programDigest` of the sidecar, in lowercase
 * hexadecimal digits. A development build has only this machine's sidecar.
 */
export const CHECKSUMS: { wasm: string; programs: Record<string, string> };
