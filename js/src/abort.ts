import { LicenseError } from "./errors.js";
import { readSignal, untilAborted } from "./options.js";

/** Until when a call may take, as far as its options say. */
export interface Limits {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  /** When the call began, by `performance.now()`. */
  beganMs: number;
}

// What a store or the sidecar usually takes is no matter.
const NOTICEABLE_MS = 100;

/** Reads the limits of a call. What is no limit is none: the module refuses it. */
export function readLimits(options: unknown): Limits {
  const limits: Limits = { beganMs: performance.now() };
  try {
    const { signal, timeoutMs } = (options ?? {}) as { signal?: unknown; timeoutMs?: unknown };
    limits.signal = readSignal(signal);
    if (typeof timeoutMs === "number" && timeoutMs > 0 && timeoutMs < 2 ** 31) {
      limits.timeoutMs = timeoutMs;
    }
  } catch {
    // The same.
  }
  return limits;
}

/** Waits for a promise, or until the limits are reached: then it resolves with `undefined`. */
export async function atMost<T>(promise: Promise<T>, limits: Limits): Promise<T | undefined> {
  const stop = reached(limits);
  try {
    return await Promise.race([promise, stop.promise.then(() => undefined)]);
  } finally {
    stop.clear();
  }
}

/** Waits for a promise, or until the limits are reached: then it rejects with `aborted` or `timeout`. */
export async function within<T>(promise: Promise<T>, limits: Limits): Promise<T> {
  const stop = reached({ ...limits, signal: undefined });
  try {
    return await untilAborted(
      Promise.race([
        promise,
        stop.promise.then((): never => {
          const message = `There was no answer within ${limits.timeoutMs} ms.`;
          throw new LicenseError("timeout", message, { retryable: true });
        }),
      ]),
      limits.signal,
    );
  } finally {
    stop.clear();
  }
}

/** The options of a call, with the time that is left of its own. */
export function remaining<Options extends object | undefined>(
  options: Options,
  { timeoutMs, beganMs }: Limits,
): Options {
  const spent = performance.now() - beganMs;
  if (timeoutMs === undefined || spent < NOTICEABLE_MS) return options;
  return { ...options, timeoutMs: Math.max(1, Math.ceil(timeoutMs - spent)) };
}

function reached({ signal, timeoutMs, beganMs }: Limits): {
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
