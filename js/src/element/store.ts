import { invalid } from "../errors.js";
import { hasMethods, localStore } from "../leases/store.js";

/**
 * Where a gate may keep one text, by a name. What the functions return may be a
 * promise. A store made for the `leases` of `loadValidator` fits.
 */
export interface KeyStore {
  get(name: string): unknown;
  set(name: string, value: string): unknown;
  remove(name: string): unknown;
}

/**
 * How a gate remembers the license key: not at all, in the page's
 * `localStorage`, where every script of the origin can read it, or by the given
 * store.
 */
export type GateStore = "none" | "local" | KeyStore;

const NAME = "whop-license-key";

// What the field takes; the validator decides what is a license key.
export const MAX_LENGTH = 1000;

/** Says what a store is, or throws `invalid_argument`. */
export function readStore(store: unknown): KeyStore | undefined {
  if (store === undefined || store === "none") return undefined;
  if (store === "local") return localStore;
  if (hasMethods(store)) return store;
  throw invalid("store", 'must be "none", "local", or an object with get, set and remove');
}

/** A gate's dealings with its stores. */
export class KeyKeeper {
  #asked: KeyStore | undefined;
  #written = Promise.resolve();

  /** The key in a store; undefined if it holds none, or was asked already. */
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

/** Puts a key into a store, or removes it. A failure is only written to the console: the key is then not remembered. */
async function remember(store: KeyStore, licenseKey: string | undefined): Promise<void> {
  try {
    await (licenseKey === undefined ? store.remove(NAME) : store.set(NAME, licenseKey));
  } catch {
    // Not with the error, which may hold the key.
    console.warn("whop-license-gate: the store failed, so the license key is not remembered.");
  }
}
