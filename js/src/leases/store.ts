import { invalid } from "../errors.js";

/** The greatest length of a kept lease as the text of a store, in UTF-16 units. */
export const MAX_TEXT_LENGTH = 5000;

/**
 * Keeps texts by name. Each function may return its result or a promise of it.
 * Calls must take effect in the order in which they were made. If a function
 * throws, rejects, or takes longer than two seconds, a read counts as empty, and a
 * write is lost. It never breaks a check.
 *
 * A text holds a lease for one license key on one machine. It has at most 5,000
 * characters.
 */
export interface LeaseStore {
  /** Returns the text, or `null` or `undefined` if there is none. */
  get(name: string): string | null | undefined | PromiseLike<string | null | undefined>;
  set(name: string, text: string): unknown;
  remove(name: string): unknown;
}

/** Reads the `leases` option; `undefined` stands for a store in memory. */
export function readStore(option: unknown): LeaseStore | undefined {
  if (option === undefined || option === "memory") return undefined;
  if (option === "local") {
    if (!hasLocalStorage()) {
      throw invalid("leases", 'is "local", but there is no localStorage here; give a store');
    }
    return localStore;
  }
  try {
    if (typeof option === "object" && hasMethods(option)) return option;
  } catch (thrown) {
    throw invalid("leases", "can't be read", thrown);
  }
  throw invalid("leases", 'must be "memory", "local", or an object with get, set and remove');
}

/** Whether a value has what a store has. It may throw, as its getters do. */
export function hasMethods(value: unknown): value is LeaseStore {
  const { get, set, remove } = (value ?? {}) as Partial<LeaseStore>;
  return [get, set, remove].every((member) => typeof member === "function");
}

function hasLocalStorage(): boolean {
  // A window always has one. If the user or an embedding app has disabled it, it is
  // null or throws, and then nothing is kept.
  if (typeof window === "object") return true;
  try {
    return typeof localStorage === "object" && localStorage !== null;
  } catch {
    return false;
  }
}

/** The page's `localStorage`. */
export const localStore: LeaseStore = {
  get: (name) => localStorage.getItem(name),
  set: (name, text) => localStorage.setItem(name, text),
  remove: (name) => localStorage.removeItem(name),
};

/** The maximum number of leases that are remembered. An app has one or two. */
const MAX_REMEMBERED = 100;

/** Sets a value in a map, which drops its oldest entry when it is full. */
export function remember<Value>(map: Map<string, Value>, name: string, value: Value): void {
  map.delete(name);
  map.set(name, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value as string);
}

/** A store that lasts until the program ends. */
export function memoryStore(): LeaseStore {
  const texts = new Map<string, string>();
  return {
    get: (name) => texts.get(name),
    set: (name, text) => remember(texts, name, text),
    remove: (name) => texts.delete(name),
  };
}
