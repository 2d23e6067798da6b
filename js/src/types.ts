// The public types of every entry point that loads a validator.
import type { LicenseError, LicenseErrorCode } from "./errors.js";
import type { LeaseStore } from "./leases/store.js";

export type { LeaseStore };

/** The membership behind a license, with the names of Whop's API v2. What the server didn't send is absent; it never sends the customer's personal data. */
export interface Membership {
  valid: true;
  /** The membership's id, `mem_…`. It stays the same when the license key is reset. */
  id?: string;
  /** The product's id, `prod_…`. Compare it where one seller has several products. */
  product?: string;
  /** The plan's id, `plan_…`. */
  plan?: string;
  /** Whop's own status, such as `active` or `trialing`; for display only. */
  status?: string;
  license_key?: string;
  /** What the license is bound to. */
  metadata?: Record<string, unknown>;
  /** Where the customer manages the membership, and resets its key. */
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

/** Why there was no verdict from the server, where a lease stood in for it. */
export interface VerdictError {
  code: LicenseErrorCode;
  message: string;
  /** The HTTP status of the answer, where there was one. */
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
  /** The signed yes, where a public key is set: keep it for the next call's `lease`. */
  lease?: string;
  /** How long the lease may stand in for the server, as a time in ISO 8601. */
  leaseExpiresAt?: string;
  /** Why the lease stood in, where the server was asked. It says nothing about the license. */
  error?: VerdictError;
}

/**
 * The server said no.
 *
 * - `metadata_mismatch`: the license is bound to another machine; its owner can reset the key on Whop.
 * - `not_found`: there is no such license key.
 * - `inactive`: the license is canceled, expired, or does not include this app for another reason.
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
 * The options of one check. A value out of its bounds, and a name that isn't
 * listed here, reject the call with `invalid_argument`.
 */
export interface ValidateOptions {
  /** The server to ask, in place of the one that the module was loaded with: an https URL, or http on a loopback address, of at most 2,048 characters. */
  endpoint?: string | undefined;
  /**
   * The seller's API key, for a program on the seller's own server. A page, a
   * worker or an Electron renderer that is handed one refuses: it can change
   * every membership of the business. Ask a license gateway instead. It has 1 to
   * 500 characters.
   */
  apiKey?: string | undefined;
  /** Lets a page use `apiKey`. Set it only where nobody but the seller can open the page. */
  dangerouslyAllowBrowser?: boolean | undefined;
  /**
   * The server's Ed25519 public key, 43 characters of base64url; an array of up
   * to 10 while one is being replaced. With it, yes and no both need a signature
   * over this very call, and an answer without one rejects with `untrusted_response`.
   */
  publicKey?: string | readonly string[] | undefined;
  /** Who must have signed the answer, if it may not be any server that holds the key. */
  issuer?: string | undefined;
  /** The product that the lease must be for, `prod_…`, if it may not be any. */
  audience?: string | undefined;
  /** The last lease, to stand in where no verdict is reached. It needs a public key, as do `preferLease` and `clock`. */
  lease?: string | undefined;
  /** Answers from the lease without asking the server, while it has not expired. */
  preferLease?: boolean | undefined;
  /**
   * What this installation knows of the time, in milliseconds. `lastSeen` is the
   * latest time since the epoch that it has seen, by its clock plus `skew`: a
   * clock that was turned back extends no lease. `skew` is the server's time minus
   * this clock's when the lease came, or 0 if it is not known. Both are times
   * that a `Date` can hold; `lastSeen` is not negative.
   */
  clock?: { lastSeen: number; skew?: number | undefined } | undefined;
  /** The time for the whole call with its retries, in milliseconds: a whole number from 1 to 2,147,483,647. Default 15,000. */
  timeoutMs?: number | undefined;
  /** How many requests to make at most, while the server is unavailable or limits the rate: 1, 2 or 3. Default 3. */
  maxAttempts?: number | undefined;
  /** Aborts the call, which then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Asks the server about a license key on this machine.
 *
 * @param licenseKey The customer's license key. White space around it, and characters
 *   that can't be seen, are ignored. It then has at most 200 characters.
 * @param hwid This machine's id, sent as `{"HWID": hwid}`, or an object that is
 *   sent as it is, with up to 50 strings. On first use the license is bound to it,
 *   so it must never change on one machine. If left out, `{}` is sent, and the
 *   license is bound to no machine.
 * @returns The verdict. It rejects with a {@link LicenseError} where none was
 *   reached, which says nothing about the license.
 */
export type ValidateLicense = (
  licenseKey: string,
  hwid?: string | Record<string, string>,
  options?: ValidateOptions,
) => Promise<Verdict>;

/** A loaded module. */
export interface Validator {
  readonly validateLicense: ValidateLicense;
  /** The version of the module, and of this package. */
  readonly version: string;
}

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
   * The gateway's Ed25519 public key, 43 characters of base64url; an array of up
   * to 10 while one is being replaced. With it, `valid` needs a lease that is
   * signed for this very call, and leases are kept for when the server can't be
   * reached. Leave it out where one is built into the module. If it is given as
   * `undefined`, that is an `invalid_argument`, as a misspelled name would
   * otherwise turn signatures off.
   */
  publicKey?: string | readonly string[];
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
   * Answers at once from a lease that has not expired. If the lease is older than
   * this, in milliseconds, the server is asked in the background; 0 always asks.
   * Default: the server is asked first.
   */
  revalidateAfterMs?: number | undefined;
  /**
   * Called when the server refuses in the background, after `validateLicense` has
   * answered from a lease. The lease has been removed by then. If it throws, that
   * is an uncaught error, as in an event listener.
   */
  onChange?: ((verdict: InvalidVerdict) => void) | undefined;
  /** Stops waiting; the call then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads and starts the WebAssembly module. Calls with the same `wasm` and
 * `endpoint` share one load, and those whose other options are the same too
 * share one validator; with `onChange` or a store of your own, each call has
 * its own validator. After a load that failed, the next call tries again.
 *
 * It rejects with a {@link LicenseError}: `load_failed` if the module can't
 * be fetched or started, `invalid_argument`, or `aborted`.
 */
export type LoadValidator = (options: LoadOptions) => Promise<Validator>;
