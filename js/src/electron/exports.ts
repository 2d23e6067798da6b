// What both main-process entry points export in addition to their own functions.
export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type {
  InvalidVerdict,
  LeaseStore,
  Membership,
  ValidateLicense,
  ValidateOptions,
  Validator,
  ValidVerdict,
  Verdict,
  VerdictError,
} from "../types.js";
export type { LicenseHost, LicenseHostOptions } from "./host.js";
export { createFileLeases, type FileLeasesOptions, type SafeStorage } from "./lease-file.js";
export type { MainValidatorSettings } from "./main-validator.js";
