import { invalid } from "../errors.js";
import type { InvalidVerdict } from "../types.js";
import type { Trust } from "../wasm/module.js";
import { type LeaseStore, readStore } from "./store.js";

/** The options of `loadValidator` for signed answers. */
export interface LeaseSettings {
  trust: Trust;
  /** The store that was given; `undefined` stands for one in memory. */
  store: LeaseStore | undefined;
  leasing: {
    /** The age of a lease from which its answer is refreshed; `undefined` asks the server first. */
    revalidateAfterMs?: number | undefined;
    onChange?: ((verdict: InvalidVerdict) => void) | undefined;
  };
  /** The option that makes no sense without a public key, if one was given. */
  needsKey: string | undefined;
  /** Equal for equal settings; `undefined` if they can't be compared. */
  id: string | undefined;
}

export const LEASE_OPTIONS = [
  ...(["publicKey", "issuer", "audience"] as const),
  ...(["leases", "revalidateAfterMs", "onChange"] as const),
] as const;

/**
 * Throws if a public key is given as `undefined`, as a misspelled environment
 * variable or constant would give. That must not turn signatures off.
 */
export function refuseUndefinedKey(given: { publicKey?: unknown }): void {
  if (!Object.hasOwn(given, "publicKey") || given.publicKey !== undefined) return;
  throw invalid(
    "publicKey",
    "is undefined; check where the value comes from, such as the name of an environment variable, or leave the option out",
  );
}

/** Reads the options. The module validates `trust`. */
export function readLeaseOptions(
  given: {
    [N in (typeof LEASE_OPTIONS)[number]]?: unknown;
  },
): LeaseSettings {
  refuseUndefinedKey(given);
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
    leasing: { revalidateAfterMs, onChange: onChange as LeaseSettings["leasing"]["onChange"] },
    needsKey: (["leases", "revalidateAfterMs"] as const).find((name) => given[name] !== undefined),
    id: comparable ? JSON.stringify([trust, leases, revalidateAfterMs]) : undefined,
  };
}

// One more than the module takes, so that it can report that there are too many.
const MAX_LISTED = 11;

/** A copy of a list, which the caller can't change anymore. */
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
