import { type LeaseStore, remember } from "./store.js";

/** A lease that was kept. Times are in milliseconds. */
export interface KeptLease {
  lease: string;
  /** The server's time less this clock's when the lease came. */
  skew: number;
  /** The latest time since the epoch that is known to have been since, by this clock plus the skew. */
  lastSeen: number;
}

const PREFIX = "whop-license:";

// A page that hangs on its own storage is worse than one request too many.
const STORE_TIMEOUT_MS = 2000;

// A lease is at most 4 KiB of three base64url parts.
const LEASE = /^[\w.-]{1,4096}$/;
const MAX_TEXT = 5000;

/** The greatest time that a Date holds. */
const MAX_TIME = 8.64e15;

/**
 * Keeps leases in a store, each with the skew of this clock and the latest time
 * seen. That time only grows while its lease lives. It grows by the clock plus
 * the skew and, as the clock may stand still, by the time for which this program
 * has run. A new lease starts anew: the server has just vouched for it, so a
 * clock that was once set years ahead doesn't lock anyone out.
 */
export class LeaseKeeper {
  readonly #store: LeaseStore;
  /** What this program has seen itself, and when by its own running time. */
  readonly #seen = new Map<string, KeptLease & { atMs: number; ended: boolean }>();
  /** How often the server said no. */
  readonly #refusals = new Map<string, number>();

  constructor(store: LeaseStore) {
    this.#store = store;
  }

  /** The lease of that name, if there is one. */
  async offer(name: string): Promise<KeptLease | undefined> {
    const kept = parse(await answer(() => this.#store.get(PREFIX + name)));
    // A store that can't remove would bring it back.
    if (!kept || this.#hasEnded(name, kept.lease)) return undefined;
    return this.#see(name, kept);
  }

  /**
   * How often the server has said no so far. What was asked for before it said
   * so again is older, whenever its answer comes: neither is its lease to be
   * kept, nor may the one that it was offered stand in.
   */
  refusals(name: string): number {
    return this.#refusals.get(name) ?? 0;
  }

  /** Keeps a lease that the server sent just now, asked after the given number of refusals. */
  async keep(name: string, lease: string, skew: number, refusals: number): Promise<void> {
    if (refusals !== this.refusals(name)) return;
    const kept = this.#see(name, { lease, skew, lastSeen: 0 });
    await answer(() => this.#store.set(PREFIX + name, JSON.stringify(kept)));
  }

  /** Keeps the present time with the lease, unless that has been replaced or removed. */
  async touch(name: string, lease: string): Promise<void> {
    // Another page may have written since.
    const kept = parse(await answer(() => this.#store.get(PREFIX + name)));
    // And so may this one, while the store was thinking.
    if (kept?.lease !== lease || this.#seen.get(name)?.lease !== lease) return;
    if (this.#hasEnded(name, lease)) return;
    const latest = this.#see(name, kept);
    await answer(() => this.#store.set(PREFIX + name, JSON.stringify(latest)));
  }

  /** Removes the lease, as the server said no. */
  async forget(name: string): Promise<void> {
    remember(this.#refusals, name, this.refusals(name) + 1);
    const seen = this.#seen.get(name);
    if (seen) seen.ended = true;
    await answer(() => this.#store.remove(PREFIX + name));
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

/**
 * A store that others use too, each by a message or a promise: a lease that one
 * of them has removed, another that had just read it does not bring back.
 */
export function withoutRevival(store: LeaseStore): LeaseStore {
  const removed = new Map<string, string>();
  return {
    get: (name) => store.get(name),
    set: (name, text) => {
      const kept = parse(text);
      const wasRemoved = kept !== undefined && kept.lease === removed.get(name);
      return wasRemoved ? undefined : store.set(name, text);
    },
    remove: async (name) => {
      try {
        const kept = parse(await store.get(name));
        if (kept) remember(removed, name, kept.lease);
      } catch {
        // What can't be read another window could not have read either.
      }
      await store.remove(name);
    },
  };
}

/** Reads a record. Whatever is not one, was damaged, or belongs to another program is none. */
function parse(text: unknown): KeptLease | undefined {
  if (typeof text !== "string" || text.length > MAX_TEXT) return undefined;
  try {
    // A record of a release that knew no skew has none.
    const { lease, skew = 0, lastSeen } = JSON.parse(text);
    if (typeof lease !== "string" || !LEASE.test(lease)) return undefined;
    if (typeof skew !== "number" || !(Math.abs(skew) <= MAX_TIME)) return undefined;
    if (typeof lastSeen !== "number" || !(lastSeen >= 0 && lastSeen <= MAX_TIME)) return undefined;
    return { lease, skew, lastSeen };
  } catch {
    return undefined;
  }
}

/** What a store answers, or `undefined` where it throws, rejects, or doesn't answer in time. */
async function answer(ask: () => unknown): Promise<unknown> {
  let stopWaiting = () => {};
  const late = new Promise<undefined>((resolve) => {
    const timer = setTimeout(resolve, STORE_TIMEOUT_MS);
    stopWaiting = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([ask(), late]);
  } catch {
    return undefined;
  } finally {
    stopWaiting();
  }
}
