// The messages between the content script and the background. The package defines those
// between the page and the content script.
import type { HelperAnswer, HelperRequest } from "whop-license/helper";

/** Must equal `HELPER_PROTOCOL` of whop-license/helper. */
export const PROTOCOL: HelperRequest["protocol"] = "whop-license-helper/1";

/** A question of the content script to the background. */
export interface Question {
  ask: HelperRequest["ask"];
  /** Whether the customer has just clicked or pressed a key in the page. */
  active: boolean;
}

/** What the background answers. */
export type Answer = Exclude<HelperAnswer, { received: true }>;

export function isQuestion(value: unknown): value is Question {
  if (typeof value !== "object" || value === null) return false;
  const { ask, active, ...more } = value as Record<string, unknown>;
  return (
    (ask === "machineId" || ask === "state") &&
    typeof active === "boolean" &&
    Object.keys(more).length === 0
  );
}

/** Reads what a page sent; undefined unless it is a request to this extension. */
export function readRequest(value: unknown): HelperRequest | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { protocol, to, id, ask, scheme, ...more } = value as Record<string, unknown>;
  if (protocol !== PROTOCOL || to !== "extension" || scheme !== SCHEME) return undefined;
  if (typeof id !== "string" || id.length > 64 || Object.keys(more).length > 0) return undefined;
  if (ask !== "machineId" && ask !== "state") return undefined;
  return { protocol, to, id, ask, scheme: SCHEME };
}
