import { type KeptLease, MAX_TIME, readRecord, writeRecord } from "./record.js";
import { type LeaseStore, remember } from "./store.js";

const PREFIX = "whop-license:";

// A page that hangs because of its storage is worse than an unnecessary request.
const STORE_TIMEOUT_MS = 2000;

/**
 * Keeps leases in a store, and decides what time it is.
 *
 * Each lease is kept with its skew, which is how far this clock is behind the
 * server's, and with the latest time that has been seen. That time never goes
 * back while the lease is kept. It advances with the clock plus the skew, and
 * also with this program's running time, because the clock may stand still. A
 * new lease starts over: the server has just vouched for it, so a clock that was
 * once set years ahead locks nobody out. The module decides whether a lease is
 * still valid at that time.
 */
export class LeaseKeeper {
  readonly #store: LeaseStore;
  /** What this program has seen itself, and when, by `performance.now()`. */
  readonly #seen = new Map<string, KeptLease & { atMs: number; ended: boolean }>();
  /** How often the server has refused each license. */
  readonly #refusals = new Map<string, number>();

  constructor(store: LeaseStore) {
    this.#store = store;
  }

  /** The lease of that name, if there is one. */
  async offer(name: string): Promise<KeptLease | undefined> {
    const kept = readRecord(await ask(() => this.#store.get(PREFIX + name)));
    // A store that failed to remove a lease would bring it back.
    if (!kept || this.#hasEnded(name, kept.lease)) return undefined;
    return this.#see(name, kept);
  }

  /**
   * How often the server has refused so far. A check that began at a lower count
   * is older than the latest refusal, even if its answer comes later: its lease
   * must not be kept, and the lease that it was offered must not stand in.
   */
  refusals(name: string): number {
    return this.#refusals.get(name) ?? 0;
  }

  /** Keeps a lease that the server sent just now, in a check that began at the given count of refusals. */
  async keep(name: string, lease: string, skew: number, refusals: number): Promise<void> {
    if (refusals !== this.refusals(name)) return;
    const kept = this.#see(name, { lease, skew, lastSeen: 0 });
    await ask(() => this.#store.set(PREFIX + name, writeRecord(kept)));
  }

  /** Updates the time kept with the lease, unless the lease has been replaced or removed. */
  async touch(name: string, lease: string): Promise<void> {
    // Another page may have written since then.
    const kept = readRecord(await ask(() => this.#store.get(PREFIX + name)));
    // So may this page, while the store was answering.
    if (kept?.lease !== lease || this.#seen.get(name)?.lease !== lease) return;
    if (this.#hasEnded(name, lease)) return;
    const latest = this.#see(name, kept);
    await ask(() => this.#store.set(PREFIX + name, writeRecord(latest)));
  }

  /** Removes the lease after a refusal. */
  async forget(name: string): Promise<void> {
    remember(this.#refusals, name, this.refusals(name) + 1);
    const seen = this.#seen.get(name);
    if (seen) seen.ended = true;
    await ask(() => this.#store.remove(PREFIX + name));
  }

  #hasEnded(name: string, lease: string): boolean {
    const seen = this.#seen.get(name);
    return seen?.lease === lease && seen.ended;
  }

  #see(name: string, { lease, skew, lastSeen }: KeptLease): KeptLease {
    const atMs = performance.now();
    const seen = this.#seen.get(name);
    const ran = seen?.lease === lease ? seen.lastSeen + (atMs - seen.atMs) : 0;
    const latest = Math.floor(Math.min(Math.max(lastSeen, ran, Date.now() + skew), MAX_TIME));
    remember(this.#seen, name, { lease, skew, lastSeen: latest, atMs, ended: false });
    return { lease, skew, lastSeen: latest };
  }
}

/** What a store answers, or `undefined` if it throws, rejects, or doesn't answer in time. */
async function ask(question: () => unknown): Promise<unknown> {
  let stopWaiting = () => {};
  const late = new Promise<undefined>((resolve) => {
    const timer = setTimeout(resolve, STORE_TIMEOUT_MS);
    stopWaiting = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([question(), late]);
  } catch {
    return undefined;
  } finally {
    stopWaiting();
  }
}
