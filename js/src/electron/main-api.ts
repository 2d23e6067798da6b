// What both main-process entry points export beside their own functions.
export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type { LeaseStore } from "../lease-store.js";
export type * from "../verdict.js";
export type { DeciderOptions } from "./decider.js";
export type { LicenseHost, LicenseHostOptions } from "./host.js";
export { createFileLeases, type FileLeasesOptions, type SafeStorage } from "./lease-file.js";
