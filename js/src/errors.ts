/**
 * Why there is no verdict, no module or no machine id.
 *
 * - `invalid_argument`: the caller's input is wrong; `argument` names it.
 * - `unauthorized`: the server refused the `apiKey` that was sent. It says nothing about the customer's license.
 * - `rate_limited`: too many requests; `retryAfterMs` says how long to wait, if the server said so.
 * - `unavailable`: no connection, or the server is failing.
 * - `timeout`: no answer in time.
 * - `aborted`: the caller's signal was aborted, or `close()` was called.
 * - `bad_response`: something on the network answered in the server's place, such as a captive portal or a proxy.
 * - `untrusted_response`: the answer, yes or no, has no valid signature for this very request.
 * - `no_machine_id`: this machine has no id, or the sidecar could not read it.
 * - `load_failed`: the WebAssembly module or the sidecar could not be started, or has stopped.
 */
export type LicenseErrorCode =
  | "invalid_argument"
  | "unauthorized"
  | "rate_limited"
  | "unavailable"
  | "timeout"
  | "aborted"
  | "bad_response"
  | "untrusted_response"
  | "no_machine_id"
  | "load_failed";

/**
 * Why the browser helper gave no id, if a `no_machine_id` is about it: the extension, the
 * program that it starts, or the customer's consent is missing, or the helper refused.
 */
export type LicenseErrorReason = "no_extension" | "no_program" | "no_consent" | "refused";

/** What is known about a failure besides its code and message. */
export interface LicenseErrorDetails {
  retryable?: boolean | undefined;
  argument?: string | undefined;
  status?: number | undefined;
  retryAfterMs?: number | undefined;
  reason?: LicenseErrorReason | undefined;
  cause?: unknown;
}

/**
 * The only error class of this package. The `message` says what happened and what
 * to do next, for the developer. The `code` is stable, and is what a program
 * should look at. An error says nothing about the license.
 */
export class LicenseError extends Error {
  declare readonly name: "LicenseError";
  readonly code: LicenseErrorCode;
  /** Whether the same call may succeed later, or on another network, without any change. */
  readonly retryable: boolean;
  /** The argument or option that an `invalid_argument` is about, such as `licenseKey`; absent if the server rejected the request. */
  declare readonly argument?: string;
  /** The HTTP status of the answer, if there was one. */
  declare readonly status?: number;
  /** How long the server asked to wait before the next request, in milliseconds. */
  declare readonly retryAfterMs?: number;
  /** Why the browser helper gave no id, if a `no_machine_id` is about it. */
  declare readonly reason?: LicenseErrorReason;

  static {
    Object.defineProperty(LicenseError.prototype, "name", {
      value: "LicenseError",
      configurable: true,
      writable: true,
    });
  }

  constructor(code: LicenseErrorCode, message: string, details: LicenseErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = details.retryable ?? false;
    if (details.argument !== undefined) this.argument = details.argument;
    if (details.status !== undefined) this.status = details.status;
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs;
    if (details.reason !== undefined) this.reason = details.reason;
  }
}

export function invalid(argument: string, problem: string, cause?: unknown): LicenseError {
  return new LicenseError("invalid_argument", `${argument}: ${problem}`, { argument, cause });
}

/** Whether a stored lease could not stand in because this machine's clock is wrong. */
export function blamesClock({ cause }: LicenseError): boolean {
  // The error may come from another realm, so instanceof doesn't work.
  return (cause as { reason?: unknown } | null | undefined)?.reason === "clock";
}

/** The cause by which {@link blamesClock} knows an error. */
export function clockCause(message: string): Error {
  return Object.assign(new Error(message), { reason: "clock" });
}

export function loadFailed(message: string, details?: LicenseErrorDetails): LicenseError {
  return new LicenseError("load_failed", message, details);
}

/** The text of whatever was thrown, for a message. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "something that can't be shown as text";
  }
}

/** Whether what was thrown is a temporary failure: the system is out of a resource, or a file is in use. */
export function passes(thrown: unknown): boolean {
  const { code } = Object(thrown) as { code?: string };
  return /^(EMFILE|ENFILE|EAGAIN|ENOMEM|ETXTBSY|EBUSY|EINTR)$/.test(code ?? "");
}
