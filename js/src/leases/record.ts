// What is kept of a lease, and its form in a store.
import { MAX_TEXT_LENGTH } from "./store.js";

/** A lease that was kept. Times are in milliseconds. */
export interface KeptLease {
  lease: string;
  /** The server's time minus this clock's when the lease arrived. */
  skew: number;
  /** The latest time seen since the lease arrived, since the epoch, by this clock plus the skew. */
  lastSeen: number;
}

// The module refuses a lease that is longer; it is three base64url parts.
const LEASE = /^[\w.-]{1,4096}$/;

/** The greatest time that a Date holds. */
export const MAX_TIME = 8.64e15;

export function writeRecord(kept: KeptLease): string {
  return JSON.stringify(kept);
}

/** Reads a record. A record that is damaged, or belongs to another program, counts as none. */
export function readRecord(text: unknown): KeptLease | undefined {
  if (typeof text !== "string" || text.length > MAX_TEXT_LENGTH) return undefined;
  try {
    // Records of older releases have no skew.
    const { lease, skew = 0, lastSeen } = JSON.parse(text);
    if (typeof lease !== "string" || !LEASE.test(lease)) return undefined;
    if (typeof skew !== "number" || !(Math.abs(skew) <= MAX_TIME)) return undefined;
    if (typeof lastSeen !== "number" || !(lastSeen >= 0 && lastSeen <= MAX_TIME)) return undefined;
    return { lease, skew, lastSeen };
  } catch {
    return undefined;
  }
}
