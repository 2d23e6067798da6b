// The messages between a page and the helper's content script, which they send with
// postMessage in the page's own window.
import type { LicenseErrorReason } from "../errors.js";
import type { MachineIdScheme } from "../sidecar/types.js";

/** Marks the messages, and is the version of their format. */
export const HELPER_PROTOCOL = "whop-license-helper/1";

/** Why the helper gives no id. */
export type HelperReason = LicenseErrorReason;

/** The helper's state for a page. `ready` means that it will give an id at once. */
export type HelperState = "ready" | HelperReason;

/** A request from the page. */
export interface HelperRequest {
  protocol: typeof HELPER_PROTOCOL;
  to: "extension";
  /** The replies repeat it. It has at most 64 characters. */
  id: string;
  ask: "machineId" | "state";
  /** An extension that gives ids of another scheme ignores the request. */
  scheme: MachineIdScheme;
}

/** The answer in a reply. */
export type HelperAnswer =
  /** The request has arrived. The answer follows, perhaps after the customer is asked. */
  | { received: true }
  | { state: HelperState }
  | { machineId: { id: string; scheme: MachineIdScheme; warnings: string[] } }
  | { error: { reason?: HelperReason; message: string } };

/** A reply from the content script. */
export interface HelperReply {
  protocol: typeof HELPER_PROTOCOL;
  to: "page";
  id: string;
  answer: HelperAnswer;
}
