import type { App, Event } from "electron";
import type { LeaseStore } from "../leases/store.js";

/** How long an app waits before it quits, in milliseconds. Writing a file takes a few, or a second if a virus scanner holds it. */
const MAX_WAIT_MS = 3_000;

/**
 * Keeps an app from quitting before its store has finished. Otherwise, a license key
 * that the customer has just entered could be missing at the next start, and one that
 * was removed could be back.
 */
export class QuitGuard {
  /** The store to use in place of the given one. */
  readonly store: LeaseStore;
  readonly #app: Pick<App, "on" | "off" | "quit">;
  readonly #onQuit: () => void;
  readonly #pending = new Set<Promise<unknown>>();
  #waits = false;
  #hasWaited = false;

  /** `onQuit` is called when the app quits, before any wait. */
  constructor(app: Pick<App, "on" | "off" | "quit">, store: LeaseStore, onQuit: () => void) {
    this.#app = app;
    this.#onQuit = onQuit;
    this.store = {
      // Reads count too, because a write may follow.
      get: (name) => this.#watch(async () => store.get(name)),
      set: (name, text) => this.#watch(async () => store.set(name, text)),
      remove: (name) => this.#watch(async () => store.remove(name)),
    };
    app.on("will-quit", this.#willQuit);
  }

  /** Ends the guard after the store has finished. */
  release(): void {
    const off = () => void this.#app.off("will-quit", this.#willQuit);
    if (this.#pending.size === 0) off();
    else void this.#done().then(off);
  }

  readonly #willQuit = (event: Event): void => {
    this.#onQuit();
    if (this.#pending.size === 0 || this.#hasWaited) return;
    event.preventDefault();
    if (this.#waits) return;
    this.#waits = true;
    void this.#done().then(() => {
      this.#hasWaited = true;
      this.#app.quit();
    });
  };

  async #watch<T>(use: () => Promise<T>): Promise<T> {
    const used = use();
    this.#pending.add(used);
    try {
      return await used;
    } finally {
      this.#pending.delete(used);
    }
  }

  async #done(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, MAX_WAIT_MS);
    });
    await Promise.race([this.#idle(), late]);
    clearTimeout(timer);
  }

  async #idle(): Promise<void> {
    while (this.#pending.size > 0) {
      await Promise.allSettled(this.#pending);
      // By then, what follows has begun.
      await new Promise(setImmediate);
    }
  }
}
