// What every entry point exports beside its own loadValidator.
export type { WasmSource } from "./compile.js";
export { LicenseError, type LicenseErrorCode } from "./errors.js";
export type { LoadOptions, LoadValidator } from "./load.js";
export type { Validator } from "./program.js";
export type * from "./verdict.js";
