// What every entry point exports beside its own loadValidator.
import type { LicenseError } from "./errors.js";
import type { Validator } from "./verdict.js";

export { LicenseError, type LicenseErrorCode, type LicenseErrorDetails } from "./errors.js";
export type * from "./verdict.js";

/**
 * Where the WebAssembly module comes from: its absolute URL (in a page also a
 * relative one), the answer of a fetch, its bytes, or the compiled module.
 */
export type WasmSource =
  | string
  | URL
  | Response
  | Promise<Response>
  | ArrayBuffer
  | ArrayBufferView
  | WasmModule;

/** A `WebAssembly.Module`, which TypeScript knows only by its DOM types. */
export type WasmModule = object;

export interface LoadOptions {
  /**
   * The base URL of the server that answers `validate_license`, normally a
   * licence gateway: https, or http on a loopback address.
   */
  endpoint: string;
  /**
   * Where the WebAssembly module comes from. Default: the package's own
   * `whop-license.wasm`, which bundlers carry along.
   */
  wasm?: WasmSource | undefined;
  /** Stops waiting; the call then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads and starts the WebAssembly module. Calls with the same `wasm` and
 * `endpoint` share one load and one validator; a load that failed is forgotten.
 *
 * It rejects with a {@link LicenseError}: `load_failed` where the module can't
 * be had or started, `invalid_argument`, or `aborted`.
 */
export type LoadValidator = (options: LoadOptions) => Promise<Validator>;
