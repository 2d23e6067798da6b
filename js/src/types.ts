// The public types of every entry point that loads a validator.
import type { LicenseError, LicenseErrorCode } from "./errors.js";
import type { LeaseStore } from "./leases/store.js";

export type { LeaseStore };

/** The membership that a license belongs to, with the member names of Whop's API v2. A member that the server didn't send is absent. The gateway never sends the customer's personal data. */
export interface Membership {
  valid: true;
  /** The membership's id, `mem_…`. It stays the same when the license key is reset. */
  id?: string;
  /** The product's id, `prod_…`. Compare it if you sell several products. */
  product?: string;
  /** The plan's id, `plan_…`. */
  plan?: string;
  /** Whop's own status, such as `active` or `trialing`; for display only. */
  status?: string;
  license_key?: string;
  /** What the license is bound to, such as `{ HWID: "…" }`. */
  metadata?: Record<string, unknown>;
  /** The URL of the page where the customer manages the membership and resets its key. */
  manage_url?: string;
  cancel_at_period_end?: boolean;
  quantity?: number;
  /** In Unix seconds. */
  created_at?: number | null;
  /** In Unix seconds; `null` if the membership doesn't end. */
  expires_at?: number | null;
  /** In Unix seconds. */
  renewal_period_start?: number | null;
  /** In Unix seconds. */
  renewal_period_end?: number | null;
}

/** Why there was no verdict from the server, if a lease stood in for it. */
export interface VerdictError {
  code: LicenseErrorCode;
  message: string;
  /** The HTTP status of the answer, if there was one. */
  status?: number;
}

/** The license may be used on this machine. */
export interface ValidVerdict {
  valid: true;
  code: "valid";
  /** Whether the server answered, or a lease stood in for it. */
  source: "server" | "lease";
  /** When the server said so, in ISO 8601. */
  checkedAt: string;
  membership: Membership;
  /** The signed yes, if a public key is set. Keep it, and pass it as the `lease` of the next call. */
  lease?: string;
  /** Until when the lease may stand in for the server, in ISO 8601. */
  leaseExpiresAt?: string;
  /** Why the lease stood in, if the server was asked. It says nothing about the license. */
  error?: VerdictError;
}

/**
 * The server said no.
 *
 * - `metadata_mismatch`: the license is bound to another machine; its owner can reset the key on Whop.
 * - `not_found`: there is no such license key.
 * - `inactive`: the license is canceled or expired, or doesn't include this app for another reason.
 */
export interface InvalidVerdict {
  valid: false;
  code: "metadata_mismatch" | "not_found" | "inactive";
  source: "server";
  /** When the server said so, in ISO 8601. */
  checkedAt: string;
  /** The server's own message, or a default one. */
  message: string;
  /** The HTTP status of the answer. */
  status: number;
}

/** What the server said about a license. */
export type Verdict = ValidVerdict | InvalidVerdict;

/**
 * The options of one check. A value that is out of bounds, or a name that isn't
 * listed here, rejects the call with `invalid_argument`.
 */
export interface ValidateOptions {
  /** The server to ask, instead of the one that the module was loaded with: an https URL, or an http URL on a loopback address, of at most 2,048 characters. */
  endpoint?: string | undefined;
  /**
   * The seller's API key, of 1 to 500 characters, for a program on the seller's
   * own server. In a page, a worker or an Electron renderer it is an
   * `invalid_argument`, because the key can change every membership of the
   * business. Use a license gateway there.
   */
  apiKey?: string | undefined;
  /** Lets a page use `apiKey`. Set it only if nobody but the seller can open the page. */
  dangerouslyAllowBrowser?: boolean | undefined;
  /**
   * The server's Ed25519 public key, 43 characters of base64url, or an array of up
   * to 10 while a key is being replaced. With it, every verdict needs a signature
   * over this very call, and an answer without one rejects with `untrusted_response`.
   */
  publicKey?: string | readonly string[] | undefined;
  /** The gateway that must have signed the answer (its `--issuer`). Default: any that has the key. */
  issuer?: string | undefined;
  /** The product that the lease must be for, `prod_…`. Default: any product. */
  audience?: string | undefined;
  /** The last lease, which stands in if no verdict is reached. It needs a public key, as do `preferLease` and `clock`. */
  lease?: string | undefined;
  /** Answers from the lease without asking the server, while it has not expired. */
  preferLease?: boolean | undefined;
  /**
   * What this installation knows about the time, in milliseconds. `lastSeen` is
   * the latest time since the epoch that it has seen, by its clock plus `skew`, so
   * that turning the clock back extends no lease. `skew` is the server's time
   * minus this clock's time when the lease arrived, or 0 if unknown. Both are in
   * the range of a `Date`, and `lastSeen` is not negative.
   */
  clock?: { lastSeen: number; skew?: number | undefined } | undefined;
  /** The time for the whole call with its retries, in milliseconds: a whole number from 1 to 2,147,483,647. Default 15,000. */
  timeoutMs?: number | undefined;
  /** The maximum number of requests if the server is unavailable or limits the rate: 1, 2 or 3. Default 3. */
  maxAttempts?: number | undefined;
  /** Aborts the call, which then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Asks the server about a license key on this machine.
 *
 * @param licenseKey The customer's license key. Whitespace around it and invisible
 *   characters in it are ignored. The rest has at most 200 characters.
 * @param hwid The machine id, sent as `{"HWID": hwid}`, or an object with up to 50
 *   strings, which is sent as it is. On first use, the license is bound to it, so
 *   it must never change on one machine. If it is left out, `{}` is sent, and the
 *   license is not bound.
 * @returns A promise of the verdict. If no verdict was reached, it rejects with a
 *   {@link LicenseError}, which says nothing about the license.
 */
export type ValidateLicense = (
  licenseKey: string,
  hwid?: string | Record<string, string>,
  options?: ValidateOptions,
) => Promise<Verdict>;

/** What a loaded module offers. */
export interface Validator {
  readonly validateLicense: ValidateLicense;
  /** The version of the module, and of this package. */
  readonly version: string;
}

/**
 * Where the WebAssembly module comes from: its absolute URL (in a page, also a
 * relative one), the `Response` of a fetch, its bytes, or the compiled module.
 */
export type WasmSource =
  | string
  | URL
  | Response
  | Promise<Response>
  | ArrayBuffer
  | ArrayBufferView
  | WasmModule;

/** A `WebAssembly.Module`. It is not named here, because TypeScript declares it only in its DOM types. */
export type WasmModule = object;

export interface LoadOptions {
  /**
   * The base URL of the server that answers `validate_license`, normally a
   * license gateway: https, or http on a loopback address.
   */
  endpoint: string;
  /**
   * Where the WebAssembly module comes from. Default: the package's own
   * `whop-license.wasm`, which most bundlers copy to their output.
   */
  wasm?: WasmSource | undefined;
  /**
   * The gateway's Ed25519 public key, 43 characters of base64url, or an array of
   * up to 10 while a key is being replaced. With it, every verdict needs a
   * signature over this very call, and leases are kept for when the server can't
   * be reached. Leave it out if a key is built into the module. The value
   * `undefined` is an `invalid_argument`, because a misspelled name would
   * otherwise turn signatures off.
   */
  publicKey?: string | readonly string[];
  /** The gateway that must have signed an answer (its `--issuer`). Default: any that has the key. */
  issuer?: string | undefined;
  /** The product that a lease must be for, `prod_…`. Default: any product. */
  audience?: string | undefined;
  /**
   * Where leases are kept: `"memory"` (the default) for as long as the program
   * runs, `"local"` in the page's localStorage, or a store of your own.
   */
  leases?: "memory" | "local" | LeaseStore | undefined;
  /**
   * Answers at once from a lease that has not expired. If the lease is older than
   * this, in milliseconds, the server is asked in the background; 0 always asks.
   * Default: the server is asked first.
   */
  revalidateAfterMs?: number | undefined;
  /**
   * Called when the server refuses in the background, after `validateLicense` has
   * answered from a lease. The lease has already been removed. If the function
   * throws, that is an uncaught error, as in an event listener.
   */
  onChange?: ((verdict: InvalidVerdict) => void) | undefined;
  /** Stops waiting; the call then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads and starts the WebAssembly module. Calls with the same `wasm` and
 * `endpoint` share one load. If all their other options are the same too, they
 * also share one validator, but with `onChange` or a store of your own, each call
 * gets its own. If a load fails, the next call tries again.
 *
 * It rejects with a {@link LicenseError}: `load_failed` if the module can't
 * be fetched or started, `invalid_argument`, or `aborted`.
 */
export type LoadValidator = (options: LoadOptions) => Promise<Validator>;
