// What a page and the helper's content script send each other, with postMessage in the
// page's own window.
import type { LicenseErrorReason } from "../errors.js";
import type { MachineIdScheme } from "../sidecar/types.js";

/** Marks the messages, and is the version of their form. */
export const HELPER_PROTOCOL = "whop-license-helper/1";

/** Why the helper gives no id. */
export type HelperReason = LicenseErrorReason;

/** How the helper stands for a page: `ready` will give an id at once. */
export type HelperState = "ready" | HelperReason;

/** From the page. */
export interface HelperRequest {
  protocol: typeof HELPER_PROTOCOL;
  to: "extension";
  /** Comes back in the replies. It has at most 64 characters. */
  id: string;
  ask: "machineId" | "state";
  /** An extension that gives ids of another scheme leaves the request alone. */
  scheme: MachineIdScheme;
}

/** What comes back. */
export type HelperAnswer =
  /** The request has arrived; the answer follows, perhaps after the customer was asked. */
  | { received: true }
  | { state: HelperState }
  | { machineId: { id: string; scheme: MachineIdScheme; warnings: string[] } }
  | { error: { reason?: HelperReason; message: string } };

/** From the content script. */
export interface HelperReply {
  protocol: typeof HELPER_PROTOCOL;
  to: "page";
  id: string;
  answer: HelperAnswer;
}
