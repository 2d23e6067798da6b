import type { LicenseErrorCode, Verdict } from "./whop-license/index.js";

/** What the page tells a customer about one verdict or error. */
export interface Outcome {
  tone: "good" | "warn" | "bad" | "neutral";
  title: string;
  text: string;
  /** Steps for the customer, in order. */
  next: string[];
  /** Whether a visit to the customer's orders on Whop is one of the steps. */
  orders?: boolean;
  /** Whether asking again, unchanged, can help. */
  retry?: boolean;
}

const contactSeller = "Contact the seller and send them the details below.";
const keepsHappening =
  "If this keeps happening, contact the seller and send them the details below.";

/**
 * One outcome for each code of a verdict or LicenseError. Only a verdict speaks
 * of the licence; an error says that nothing is known about it yet.
 */
export const outcomes: Record<Verdict["code"] | LicenseErrorCode, Outcome> = {
  valid: {
    tone: "good",
    title: "Your licence is valid",
    text: "It is active and may be used on this machine.",
    next: ["Go back to the app and start it."],
  },
  metadata_mismatch: {
    tone: "warn",
    title: "This licence is in use on another machine",
    text: "A licence key works on the machine that used it first.",
    next: [
      "Open your orders on Whop and choose this product.",
      "Press Reset Key.",
      "Come back here and try again.",
    ],
    orders: true,
    retry: true,
  },
  not_found: {
    tone: "bad",
    title: "There is no licence with this key",
    text: "The server was asked and doesn’t know it.",
    next: [
      "Copy the key again from your orders on Whop, all of it.",
      "Make sure that it belongs to this product.",
    ],
    orders: true,
  },
  inactive: {
    tone: "bad",
    title: "This licence is no longer active",
    text: "It was cancelled, or it has expired.",
    next: ["Open your orders on Whop and renew it.", "Come back here and try again."],
    orders: true,
    retry: true,
  },
  invalid_argument: {
    tone: "bad",
    title: "That can’t be a licence key or machine id",
    text: "What you entered has a form that no licence has.",
    next: ["Check what you entered for missing or extra characters."],
  },
  unauthorized: {
    tone: "warn",
    title: "The seller’s set-up has a fault",
    text: "The server refused the check itself. Your licence is not the cause.",
    next: [contactSeller],
  },
  rate_limited: {
    tone: "warn",
    title: "Too many checks at the moment",
    text: "The server asks for a pause. Your licence was not checked.",
    next: ["Wait a moment, then try again."],
    retry: true,
  },
  unavailable: {
    tone: "warn",
    title: "The licence server can’t be reached",
    text: "Your licence was not checked.",
    next: ["Check your internet connection.", "Try again in a few minutes."],
    retry: true,
  },
  timeout: {
    tone: "warn",
    title: "The licence server didn’t answer in time",
    text: "Your licence was not checked.",
    next: ["Check your internet connection.", "Try again in a few minutes."],
    retry: true,
  },
  aborted: {
    tone: "neutral",
    title: "The check was cancelled",
    text: "Your licence was not checked.",
    next: ["Try again whenever you like."],
    retry: true,
  },
  bad_response: {
    tone: "warn",
    title: "The answer made no sense",
    text: "What came back was not a licence server’s answer. Your licence was not checked.",
    next: [
      "On a hotel, airport or company network, sign in to the network first.",
      "Try again.",
      keepsHappening,
    ],
    retry: true,
  },
  untrusted_response: {
    tone: "bad",
    title: "The answer can’t be trusted",
    text: "It doesn’t carry the seller’s signature. Your licence was not checked.",
    next: ["Try again on another network.", keepsHappening],
    retry: true,
  },
  no_machine_id: {
    tone: "warn",
    title: "This machine can’t be identified",
    text: "The app found no machine id, and a licence is bound to one.",
    next: [contactSeller],
  },
  load_failed: {
    tone: "warn",
    title: "This page couldn’t start its licence check",
    text: "A part of the page is missing or was blocked. Your licence was not checked.",
    next: [
      "Reload this page.",
      "Turn off extensions that block parts of pages, or use a current browser.",
      keepsHappening,
    ],
  },
};
