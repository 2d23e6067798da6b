// Ends a call before it has its answer: by its caller's signal, or at its deadline.
import { invalid, LicenseError } from "./errors.js";

/** The longest delay of a timer, in milliseconds. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** When a call has to end. */
export interface Deadline {
  signal?: AbortSignal | undefined;
  /** Counted from `beganMs`; undefined if there is no limit. */
  timeoutMs?: number | undefined;
  /** When the call began, by `performance.now()`. */
  beganMs: number;
}

// A shorter wait for a store or the sidecar is not subtracted from a call's timeout.
const NOTICEABLE_MS = 100;

/** The deadline in the options of a call. Invalid options set none here; the module reports them. */
export function readDeadline(options: unknown): Deadline {
  const deadline: Deadline = { beganMs: performance.now() };
  try {
    const { signal, timeoutMs } = (options ?? {}) as { signal?: unknown; timeoutMs?: unknown };
    deadline.signal = readSignal(signal);
    if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS) {
      deadline.timeoutMs = timeoutMs;
    }
  } catch {
    // The signal is invalid, or a getter throws. The module reports either.
  }
  return deadline;
}

/** Waits for a promise, or resolves with `undefined` at the deadline. */
export async function atMost<T>(promise: Promise<T>, deadline: Deadline): Promise<T | undefined> {
  const stop = reached(deadline);
  try {
    return await Promise.race([promise, stop.promise.then(() => undefined)]);
  } finally {
    stop.clear();
  }
}

/** Waits for a promise, or rejects with `aborted` or `timeout` at the deadline. */
export async function within<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  const stop = reached({ ...deadline, signal: undefined });
  try {
    return await untilAborted(
      Promise.race([
        promise,
        stop.promise.then((): never => {
          const message = `There was no answer within ${deadline.timeoutMs} ms.`;
          throw new LicenseError("timeout", message, { retryable: true });
        }),
      ]),
      deadline.signal,
    );
  } finally {
    stop.clear();
  }
}

/** What is left of a call's timeout, or undefined if nothing has to be subtracted. */
export function reducedTimeout({ timeoutMs, beganMs }: Deadline): number | undefined {
  const spent = performance.now() - beganMs;
  if (timeoutMs === undefined || spent < NOTICEABLE_MS) return undefined;
  return Math.max(1, Math.ceil(timeoutMs - spent));
}

function reached({ signal, timeoutMs, beganMs }: Deadline): {
  promise: Promise<void>;
  clear: () => void;
} {
  let clear = () => {};
  const promise = new Promise<void>((resolve) => {
    if (signal?.aborted) return resolve();
    const stop = () => resolve();
    signal?.addEventListener("abort", stop, { once: true });
    const left = timeoutMs === undefined ? undefined : beganMs + timeoutMs - performance.now();
    const timer = left === undefined ? undefined : setTimeout(stop, left);
    clear = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
  });
  return { promise, clear };
}

/** Checks an optional AbortSignal, which may come from another realm. */
export function readSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  try {
    const signal = value as AbortSignal;
    if (
      typeof signal.aborted === "boolean" &&
      typeof signal.addEventListener === "function" &&
      typeof signal.removeEventListener === "function"
    ) {
      return signal;
    }
  } catch (thrown) {
    throw invalid("signal", "can't be read", thrown);
  }
  throw invalid("signal", "must be an AbortSignal");
}

/** Waits for a promise, which others may be waiting for too, until the signal aborts. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(aborted(signal));
    if (signal.aborted) {
      promise.catch(() => {}); // nobody waits for it here anymore
      return abort();
    }
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    try {
      signal.addEventListener("abort", abort, { once: true });
    } catch (thrown) {
      reject(invalid("signal", "can't be listened to", thrown));
    }
  });
}

export function aborted(signal: AbortSignal): LicenseError {
  return new LicenseError("aborted", "The call was aborted by its signal.", {
    cause: signal.reason,
  });
}
