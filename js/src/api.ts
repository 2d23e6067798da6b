// What every entry point exports beside its own loadValidator.
import type { LicenseError } from "./errors.js";
import type { LeaseStore } from "./leases/store.js";
import type { InvalidVerdict, Validator } from "./types.js";

export { LicenseError, type LicenseErrorCode, type LicenseErrorDetails } from "./errors.js";
export type { LeaseStore } from "./leases/store.js";
export type * from "./types.js";

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
   * license gateway: https, or http on a loopback address.
   */
  endpoint: string;
  /**
   * Where the WebAssembly module comes from. Default: the package's own
   * `whop-license.wasm`, which bundlers carry along.
   */
  wasm?: WasmSource | undefined;
  /**
   * The gateway's Ed25519 public key, 43 characters of base64url; several while
   * one is being replaced, ten at most. With it, `valid` needs a lease that is
   * signed for this very call, and leases are kept for when the server can't be
   * asked. Leave it out where one is built into the module.
   */
  publicKey?: string | readonly string[] | undefined;
  /** Who must have signed a lease; default: any gateway that holds the key. */
  issuer?: string | undefined;
  /** The product that a lease must be for, `prod_…`; default: any. */
  audience?: string | undefined;
  /**
   * Where leases are kept: `"memory"` (the default) for as long as the program
   * runs, `"local"` in the page's localStorage, or a store of your own.
   */
  leases?: "memory" | "local" | LeaseStore | undefined;
  /**
   * Answers from a lease that has not expired at once, and asks the server in
   * the background where the server's word is older than this, in milliseconds;
   * 0 always asks. Default: the server is asked first.
   */
  revalidateAfterMs?: number | undefined;
  /**
   * Called when the server said no in the background, after `validateLicense`
   * had answered from a lease. The lease is gone by then. What it throws is an
   * uncaught error, as in an event listener.
   */
  onChange?: ((verdict: InvalidVerdict) => void) | undefined;
  /** Stops waiting; the call then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads and starts the WebAssembly module. Calls with the same `wasm` and
 * `endpoint` share one load, and those whose other options are the same too
 * share one validator; with `onChange`, or a store of one's own, each call has
 * its own validator. A load that failed is forgotten.
 *
 * It rejects with a {@link LicenseError}: `load_failed` where the module can't
 * be had or started, `invalid_argument`, or `aborted`.
 */
export type LoadValidator = (options: LoadOptions) => Promise<Validator>;
