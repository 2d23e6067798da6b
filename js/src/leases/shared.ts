import { readRecord } from "./record.js";
import { type LeaseStore, remember } from "./store.js";

/**
 * Makes a store safe for several windows that use it by messages. After one of them
 * has removed a lease, another that had read it before can't set it again.
 */
export function withoutRevival(store: LeaseStore): LeaseStore {
  const removed = new Map<string, string>();
  return {
    get: (name) => store.get(name),
    set: (name, text) => {
      const kept = readRecord(text);
      const wasRemoved = kept !== undefined && kept.lease === removed.get(name);
      return wasRemoved ? undefined : store.set(name, text);
    },
    remove: async (name) => {
      try {
        const kept = readRecord(await store.get(name));
        if (kept) remember(removed, name, kept.lease);
      } catch {
        // If it can't be read here, no other window has read it either.
      }
      await store.remove(name);
    },
  };
}
