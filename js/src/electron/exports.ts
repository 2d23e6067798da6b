// What both main-process entry points export beside their own functions.
export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type { LeaseStore } from "../leases/store.js";
export type * from "../types.js";
export type { LicenseHost, LicenseHostOptions } from "./host.js";
export { createFileLeases, type FileLeasesOptions, type SafeStorage } from "./lease-file.js";
export type { DeciderOptions } from "./main-validator.js";
