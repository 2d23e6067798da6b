import { invalid, LicenseError } from "./errors.js";

/**
 * Reads the known members of an options object, each once. The object may be
 * anything. Unless it is a plain object of known members that can be read, this
 * throws an `invalid_argument`.
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
