import { invalid, LicenseError } from "./errors.js";

/**
 * Reads the known members of an options object, each once. The object may be
 * anything: what isn't a plain object of known members, or throws when it is
 * read, is an `invalid_argument`.
 */
export function readOptions<Name extends string>(
  options: unknown,
  known: readonly Name[],
): { [N in Name]?: unknown } {
  const read: { [N in Name]?: unknown } = Object.create(null);
  if (options === undefined) return read;
  try {
    if (!isPlain(options)) throw invalid("options", "must be a plain object");
    for (const key of Reflect.ownKeys(options)) {
      if (!known.includes(key as Name)) {
        throw invalid("options", `has a member that is no option: ${String(key).slice(0, 40)}`);
      }
      read[key as Name] = Reflect.get(options, key);
    }
  } catch (thrown) {
    throw thrown instanceof LicenseError ? thrown : invalid("options", "can't be read", thrown);
  }
  return read;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Reflect.getPrototypeOf(value);
  // An object of another realm, such as a frame's, has another Object.prototype.
  return prototype === null || Reflect.getPrototypeOf(prototype) === null;
}

// Above what the module takes of any object.
const MAX_MEMBERS = 100;

/**
 * A copy of a plain object, which its owner can't change any more. Anything
 * else is returned as it is, for the module to refuse.
 */
export function copyOf<T>(value: T): T {
  try {
    if (!isPlain(value)) return value;
    const keys = Reflect.ownKeys(value);
    if (keys.length > MAX_MEMBERS) return value;
    const copy = Object.create(null);
    for (const key of keys) copy[key] = Reflect.get(value, key);
    return copy;
  } catch {
    return value;
  }
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

/** Waits for a promise that others may be waiting for too, until the signal. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(aborted(signal));
    if (signal.aborted) {
      promise.catch(() => {}); // nobody waits for it here any more
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
