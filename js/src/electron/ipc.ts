// What crosses between the main process, the preload and the page.
import {
  blamesClock,
  clockCause,
  LicenseError,
  type LicenseErrorCode,
  loadFailed,
  textOf,
} from "../errors.js";
import type { MachineId } from "../sidecar/client.js";
import type { InvalidVerdict, Verdict } from "../types.js";

/** The form of the bridge and of the channels behind it. */
export const PROTOCOL = 1;

/** The channels of Electron's IPC. The preload, which can import nothing, writes them out. */
export type Channel =
  | "whop-license:machine-id"
  | "whop-license:wasm"
  | "whop-license:store"
  | "whop-license:validate"
  | "whop-license:abort"
  | "whop-license:change";

/** An answer of the main process. Of an Error, Electron's IPC would keep the message only. */
export type Reply<Value> = { value: Value } | { error: ErrorData };

/** A {@link LicenseError} as plain data. */
export interface ErrorData {
  code: LicenseErrorCode;
  message: string;
  retryable: boolean;
  argument?: string | undefined;
  status?: number | undefined;
  retryAfterMs?: number | undefined;
  /** What the cause says of a wrong clock, where it does. */
  clock?: string | undefined;
}

/** What the preload exposes to the page as `whopLicense`. Each function may be called by anyone in the page. */
export interface Bridge {
  protocol: typeof PROTOCOL;
  machineId(): Promise<Reply<MachineId>>;
  wasm(): Promise<Reply<Uint8Array>>;
  get(name: string): Promise<Reply<string | undefined>>;
  set(name: string, text: string): Promise<Reply<void>>;
  remove(name: string): Promise<Reply<void>>;
  validate(call: number, licenseKey: unknown, timeoutMs: unknown): Promise<Reply<Verdict>>;
  abort(call: number): Promise<Reply<void>>;
  /** Says who hears of a refusal in the background, in place of who did. */
  onChange(listener: (verdict: InvalidVerdict) => void): void;
}

/** What stands in the bridge's place where the window's settings are not safe. */
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
