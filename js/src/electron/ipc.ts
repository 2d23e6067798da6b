// What crosses between the main process, the preload and the page.
import {
  blamesClock,
  clockCause,
  LicenseError,
  type LicenseErrorCode,
  loadFailed,
  textOf,
} from "../errors.js";
import type { MachineId } from "../sidecar/types.js";
import type { InvalidVerdict, Verdict } from "../types.js";

/** The version of the bridge and of the channels behind it. */
export const PROTOCOL = 1;

/**
 * What a page asks of the main process: by each channel of Electron's IPC, what
 * it sends and what the {@link Reply} carries. The preload, which can import
 * nothing, writes the channels out.
 *
 * Every request of a page that isn't listed is answered with the error
 * `load_failed`. So are the first three where the main process decides.
 */
export interface Requests {
  /** This machine's id, from the sidecar. */
  "whop-license:machine-id": () => MachineId;
  /** The bytes of the WebAssembly module. */
  "whop-license:wasm": () => Uint8Array;
  /** Reads, writes or removes one text of the host's store, by a name of whop-license's. */
  "whop-license:store":
    | ((operation: "get", name: string) => string | undefined)
    | ((operation: "set", name: string, text: string) => void)
    | ((operation: "remove", name: string) => void);
  /**
   * Has the main process check a license key on this machine. The number is the
   * page's own, for `abort`. The verdict has neither lease nor metadata.
   */
  "whop-license:validate": (check: number, licenseKey: unknown, timeoutMs: unknown) => Verdict;
  /** Aborts the check of that number, if it is still under way. */
  "whop-license:abort": (check: number) => void;
}

export type RequestChannel = keyof Requests;

/** What the main process sends without being asked. */
export interface Events {
  /** A refusal that came in the background, to each page that has asked for a verdict. */
  "whop-license:change": InvalidVerdict;
}

export type Channel = RequestChannel | keyof Events;

/** An answer of the main process. Errors are data in it, as Electron's IPC keeps only an Error's message. */
export type Reply<Value> = { value: Value } | { error: ErrorData };

/** A {@link LicenseError} as plain data. */
export interface ErrorData {
  code: LicenseErrorCode;
  message: string;
  retryable: boolean;
  argument?: string | undefined;
  status?: number | undefined;
  retryAfterMs?: number | undefined;
  /** The message of the cause, where that is a wrong clock. */
  clock?: string | undefined;
}

/** What the preload exposes to the page as `whopLicense`. Any script of the page may call each function. */
export interface Bridge {
  protocol: typeof PROTOCOL;
  machineId(): Promise<Reply<MachineId>>;
  wasm(): Promise<Reply<Uint8Array>>;
  get(name: string): Promise<Reply<string | undefined>>;
  set(name: string, text: string): Promise<Reply<void>>;
  remove(name: string): Promise<Reply<void>>;
  validate(check: number, licenseKey: unknown, timeoutMs: unknown): Promise<Reply<Verdict>>;
  abort(check: number): Promise<Reply<void>>;
  /** Sets who is told of a refusal in the background, in place of the listener before. */
  onChange(listener: (verdict: InvalidVerdict) => void): void;
}

/** What the preload exposes instead where the settings of the window are not safe. */
export interface NoBridge {
  protocol: typeof PROTOCOL;
  refused: string;
}

declare global {
  var whopLicense: Bridge | NoBridge | undefined;
}

/** The plain data of whatever was thrown in the main process. */
export function errorData(thrown: unknown): ErrorData {
  const error =
    thrown instanceof LicenseError
      ? thrown
      : loadFailed(`The license host failed: ${textOf(thrown)}`);
  const { code, message, retryable, argument, status, retryAfterMs } = error;
  const clock = blamesClock(error) ? textOf(error.cause) : undefined;
  return { code, message, retryable, argument, status, retryAfterMs, clock };
}

/** The value of a reply, or its error, thrown. */
export function unwrap<Value>(reply: Reply<Value>): Value {
  if (!("error" in reply)) return reply.value;
  const { code, message, clock, ...details } = reply.error;
  const cause = clock === undefined ? undefined : clockCause(clock);
  throw new LicenseError(code, message, { ...details, cause });
}
