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
 * What a page asks the main process: for each channel of Electron's IPC, what the page
 * sends and what the {@link Reply} contains. The preload repeats the channels' names,
 * because it can't import anything.
 *
 * Requests from a page that isn't listed are answered with the error `load_failed`.
 * So are the first three if the main process decides.
 */
export interface Requests {
  /** This machine's id, from the sidecar. */
  "whop-license:machine-id": () => MachineId;
  /** The bytes of the WebAssembly module. */
  "whop-license:wasm": () => Uint8Array;
  /** Reads, writes or removes one text in the host's store, by a name that whop-license uses. */
  "whop-license:store":
    | ((operation: "get", name: string) => string | undefined)
    | ((operation: "set", name: string, text: string) => void)
    | ((operation: "remove", name: string) => void);
  /**
   * Has the main process check a license key on this machine. The page chooses the
   * number, for `abort`. The verdict has no lease and no metadata.
   */
  "whop-license:validate": (check: number, licenseKey: unknown, timeoutMs: unknown) => Verdict;
  /** Aborts the check with that number, if it is still running. */
  "whop-license:abort": (check: number) => void;
}

export type RequestChannel = keyof Requests;

/** What the main process sends without being asked. */
export interface Events {
  /** A refusal in the background. It goes to each page that has asked for a verdict. */
  "whop-license:change": InvalidVerdict;
}

export type Channel = RequestChannel | keyof Events;

/** An answer of the main process. It carries errors as data, because Electron's IPC keeps only an Error's message. */
export type Reply<Value> = { value: Value } | { error: ErrorData };

/** A {@link LicenseError} as plain data. */
export interface ErrorData {
  code: LicenseErrorCode;
  message: string;
  retryable: boolean;
  argument?: string | undefined;
  status?: number | undefined;
  retryAfterMs?: number | undefined;
  /** The message of the cause, if the cause is a wrong clock. */
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
  /** Sets the listener for refusals in the background, and replaces the previous one. */
  onChange(listener: (verdict: InvalidVerdict) => void): void;
}

/** What the preload exposes instead if the window's settings are not safe. */
export interface NoBridge {
  protocol: typeof PROTOCOL;
  refused: string;
}

declare global {
  var whopLicense: Bridge | NoBridge | undefined;
}

/** Turns whatever was thrown in the main process into plain data. */
export function errorData(thrown: unknown): ErrorData {
  const error =
    thrown instanceof LicenseError
      ? thrown
      : loadFailed(`The license host failed: ${textOf(thrown)}`);
  const { code, message, retryable, argument, status, retryAfterMs } = error;
  const clock = blamesClock(error) ? textOf(error.cause) : undefined;
  return { code, message, retryable, argument, status, retryAfterMs, clock };
}

/** Returns the value of a reply, or throws its error. */
export function unwrap<Value>(reply: Reply<Value>): Value {
  if (!("error" in reply)) return reply.value;
  const { code, message, clock, ...details } = reply.error;
  const cause = clock === undefined ? undefined : clockCause(clock);
  throw new LicenseError(code, message, { ...details, cause });
}
