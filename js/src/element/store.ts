import { invalid } from "../errors.js";
import { hasMethods, localStore } from "../leases/store.js";

/**
 * Where a gate may keep one text, by name. `get` returns the text, and anything else
 * counts as none. Each function may return a promise. A store made for the `leases` of
 * `loadValidator` works here, too.
 */
export interface KeyStore {
  get(name: string): unknown;
  set(name: string, value: string): unknown;
  remove(name: string): unknown;
}

/**
 * How a gate remembers the license key: not at all, in the page's `localStorage`, where
 * every script of the origin can read it, or in the given store.
 */
export type GateStore = "none" | "local" | KeyStore;

const NAME = "whop-license-key";

// What the field accepts. The validator decides what is a license key.
export const MAX_LENGTH = 1000;

/** Reads the option `store`, or throws `invalid_argument`. */
export function readStore(store: unknown): KeyStore | undefined {
  if (store === undefined || store === "none") return undefined;
  if (store === "local") return localStore;
  if (hasMethods(store)) return store;
  throw invalid("store", 'must be "none", "local", or an object with get, set and remove');
}

/** Reads and writes the license key in a gate's stores. */
export class KeyKeeper {
  #asked: KeyStore | undefined;
  #written = Promise.resolve();

  /** The key in a store; undefined if it holds none, or was already asked. */
  async recall(store: KeyStore | undefined): Promise<string | undefined> {
    if (!store || store === this.#asked) return undefined;
    this.#asked = store;
    const licenseKey = await recall(store);
    return store === this.#asked ? licenseKey : undefined;
  }

  /** The store may be asked again. */
  reset(): void {
    this.#asked = undefined;
  }

  /** Puts a key into a store, or removes it, one after the other. */
  remember(store: KeyStore | undefined, licenseKey: string | undefined): Promise<void> {
    if (store) this.#written = this.#written.then(() => remember(store, licenseKey));
    return this.#written;
  }
}

/** The key in a store. If the store fails, or holds no text, there is none. */
async function recall(store: KeyStore): Promise<string | undefined> {
  try {
    const value = await store.get(NAME);
    if (typeof value !== "string" || value.length > MAX_LENGTH) return undefined;
    return value.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Puts a key into a store, or removes it. If that fails, the key is not remembered, and the console says so. */
async function remember(store: KeyStore, licenseKey: string | undefined): Promise<void> {
  try {
    await (licenseKey === undefined ? store.remove(NAME) : store.set(NAME, licenseKey));
  } catch {
    // Without the error, which may contain the key.
    console.warn("whop-license-gate: the store failed, so the license key is not remembered.");
  }
}
