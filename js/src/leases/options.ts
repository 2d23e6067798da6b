import { invalid } from "../errors.js";
import { type LeaseStore, readStore } from "./store.js";
import type { Leasing, Trust } from "./validator.js";

/** What `loadValidator` is told about signed answers. */
export interface Settings {
  trust: Trust;
  /** The store that was given; `undefined` is one in memory. */
  store: LeaseStore | undefined;
  leasing: Omit<Leasing, "keeper">;
  /** The option that makes no sense without a public key, if one was given. */
  needsKey: string | undefined;
  /** The same for the same settings; `undefined` where they hold what can't be compared. */
  id: string | undefined;
}

export const SETTINGS = [
  ...(["publicKey", "issuer", "audience"] as const),
  ...(["leases", "revalidateAfterMs", "onChange"] as const),
] as const;

/** Reads the settings. What the module reads too is left for it to judge. */
export function readSettings(given: { [N in (typeof SETTINGS)[number]]?: unknown }): Settings {
  const { issuer, audience, leases, revalidateAfterMs, onChange } = given;
  const keys = listed(given.publicKey);
  const trust = { publicKey: keys, issuer, audience };
  const store = readStore(leases);
  if (revalidateAfterMs !== undefined && !isAge(revalidateAfterMs)) {
    throw invalid("revalidateAfterMs", "must be a number of milliseconds, 0 or more");
  }
  if (onChange !== undefined && typeof onChange !== "function") {
    throw invalid("onChange", "must be a function");
  }
  if (onChange !== undefined && revalidateAfterMs === undefined) {
    throw invalid("onChange", "is never called without revalidateAfterMs");
  }
  const texts = [issuer, audience, leases].concat(keys);
  const comparable =
    texts.every((text) => text === undefined || typeof text === "string") && onChange === undefined;
  return {
    trust,
    store,
    leasing: { revalidateAfterMs, onChange: onChange as Leasing["onChange"] },
    needsKey: (["leases", "revalidateAfterMs"] as const).find((name) => given[name] !== undefined),
    id: comparable ? JSON.stringify([trust, leases, revalidateAfterMs]) : undefined,
  };
}

// One more than the module takes, so that it sees that there are too many.
const MAX_LISTED = 11;

/** A copy of a list, which its owner can't change any more. */
function listed(publicKey: unknown): unknown {
  try {
    return Array.isArray(publicKey)
      ? Array.from({ length: Math.min(publicKey.length, MAX_LISTED) }, (_, i) => publicKey[i])
      : publicKey;
  } catch (thrown) {
    throw invalid("publicKey", "can't be read", thrown);
  }
}

function isAge(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Number.POSITIVE_INFINITY;
}
