import { invalid, type LicenseErrorCode, type LicenseErrorReason } from "../errors.js";
import type { Verdict } from "../types.js";

/**
 * The code of a verdict or of an error, or `clock`: an error with any code, if a
 * stored lease would have opened the gate with the right time on this computer's clock.
 */
export type OutcomeCode = Verdict["code"] | LicenseErrorCode | "clock";

/** What the customer is told about one outcome. */
export interface OutcomeTexts {
  title: string;
  text: string;
  /** What to do next, in order. */
  next: readonly string[];
}

/** All texts of the gate, in one language. */
export interface GateTexts {
  /** The language of these texts, as a BCP 47 tag such as `pt-BR`. It also formats numbers, dates and lengths of time. */
  locale: string;
  /** Above the form. */
  title: string;
  /** Replaces `title` if the gate has a `product-name`. */
  productTitle: (product: string) => string;
  /** Above an outcome that is shown without the form. */
  license: string;
  /** Replaces `license` if the gate has a `product-name`. */
  productLicense: (product: string) => string;
  label: string;
  placeholder: string;
  help: string;
  submit: string;
  /** On the button, during a check. */
  busy: string;
  /** The same as `busy`, as a sentence for screen readers. */
  checking: string;
  cancel: string;
  /** Under the field: nothing was entered. */
  keyMissing: string;
  /** Under the field: what was entered can't be a license key. */
  keyInvalid: string;
  /** Replaces the text of `unavailable` and `load_failed` if the browser knows that there is no network. */
  offline: string;
  /** Above the steps of an outcome. */
  next: string;
  /** The link of `reset-url`. */
  manage: string;
  /** The link of `buy-url`. */
  buy: string;
  /** The link of `support-url`. */
  support: string;
  /** For screen readers, after the text of a link. */
  newTab: string;
  /** The link of `helper-url`. */
  getHelper: string;
  /** The button that reloads the page. */
  reload: string;
  retry: string;
  /** @param time A length of time in the language of `locale`, such as "42 seconds". */
  retryIn: (time: string, seconds: number) => string;
  retryNow: string;
  /** The button that brings back the form. */
  otherKey: string;
  details: string;
  /**
   * Above the content, if a lease stands in for the server.
   *
   * @param time The time left, in the language of `locale`, such as "6 days".
   * @param end The end of the lease.
   */
  lease: (time: string, end: Date) => string;
  /** Replaces `lease` if the end is not known. */
  leaseWithoutEnd: string;
  outcomes: Readonly<Record<OutcomeCode, OutcomeTexts>>;
  /** Replaces the outcome `no_machine_id` if the error has a `reason`, which is about the browser helper. */
  helper: Readonly<Record<LicenseErrorReason, OutcomeTexts>>;
}

/** Texts that replace some of the defaults. Texts that are left out or undefined keep their default. */
export type GateTextsInput = {
  [Name in Exclude<keyof GateTexts, "outcomes" | "helper">]?: GateTexts[Name] | undefined;
} & {
  outcomes?: { [Code in OutcomeCode]?: Partial<OutcomeTexts> | undefined } | undefined;
  helper?: { [Reason in LicenseErrorReason]?: Partial<OutcomeTexts> | undefined } | undefined;
};

/** Whether this page is part of a desktop app, where advice about browsers makes no sense. */
function inDesktopApp(): boolean {
  const { location, navigator } = globalThis;
  if (location && !/^(https?:|.*-extension:)$/.test(location.protocol)) return true;
  return "whopLicense" in globalThis || /\bElectron\//.test(navigator?.userAgent ?? "");
}

const notChecked = "Your license was not checked.";
const contactSeller = "Contact the seller and send them the details below.";
const keepsHappening =
  "If this keeps happening, contact the seller and send them the details below.";
const network = ["Check your internet connection.", "Try again in a few minutes."];
const between = "a Wi-Fi login page, a firewall, or a proxy";
const elsewhere = [
  "If this Wi-Fi has a login page, open it in your browser and sign in.",
  "Otherwise, switch to another network, such as your phone’s hotspot, or turn off your VPN.",
  "Try again.",
  keepsHappening,
];

/** The gate's texts in English. */
export const defaultTexts: GateTexts = {
  locale: "en",
  title: "Enter your license key",
  productTitle: (product) => `Enter your ${product} license key`,
  license: "Your license",
  productLicense: (product) => `Your ${product} license`,
  label: "License key",
  placeholder: "A1B2C3-D4E5F6-G7H8I9",
  help: "You’ll find it under Memberships on Whop.",
  submit: "Check license",
  busy: "Checking…",
  checking: "Checking your license…",
  cancel: "Cancel",
  keyMissing: "Enter your license key.",
  keyInvalid: "This can’t be a license key. Check it for missing or extra characters.",
  offline: `You seem to be offline. ${notChecked}`,
  next: "What to do next",
  manage: "Open Whop",
  buy: "Get a license",
  support: "Contact support",
  newTab: "(opens in a new tab)",
  getHelper: "Get the helper",
  reload: "Reload this page",
  retry: "Try again",
  retryIn: (time) => `You can try again in ${time}.`,
  retryNow: "You can try again now.",
  otherKey: "Use another key",
  details: "Details for support",
  lease: (time) =>
    `Your license stays valid for ${time} without a connection to the license server.`,
  leaseWithoutEnd: "Your license was checked without a connection to the license server.",
  outcomes: {
    valid: {
      title: "Your license is valid",
      text: "It’s active and can be used on this machine.",
      next: [],
    },
    metadata_mismatch: {
      title: "This license is in use on another machine",
      text: "A license key works on the machine that used it first.",
      next: [
        "Open your memberships on Whop and choose this product.",
        "Select Reset Key.",
        "Come back here and try again.",
      ],
    },
    not_found: {
      title: "License key not found",
      text: "The license server doesn’t recognize this key.",
      next: [
        "Copy the whole key again from Memberships on Whop.",
        "Make sure it belongs to this product.",
      ],
    },
    inactive: {
      title: "This license is no longer active",
      text: "It was canceled, or it has expired.",
      next: ["Open your memberships on Whop and renew it.", "Come back here and try again."],
    },
    invalid_argument: {
      title: "There’s a problem on the seller’s side",
      text: "The license check isn’t set up correctly. Your license isn’t the cause.",
      next: [contactSeller],
    },
    unauthorized: {
      title: "The license server refused the request",
      text: `Something on the network, such as ${between}, may have answered in its place. ${notChecked}`,
      next: elsewhere,
    },
    rate_limited: {
      title: "Too many checks right now",
      text: `The license server is asking you to wait. ${notChecked}`,
      next: ["Wait a moment, then try again."],
    },
    unavailable: { title: "The license server can’t be reached", text: notChecked, next: network },
    timeout: {
      title: "The license server didn’t answer in time",
      text: notChecked,
      next: network,
    },
    aborted: {
      title: "The check was canceled",
      text: notChecked,
      next: ["Try again when you’re ready."],
    },
    bad_response: {
      title: "Something on the network got in the way",
      text: `Something answered in the license server’s place, such as ${between}. ${notChecked}`,
      next: elsewhere,
    },
    untrusted_response: {
      title: "The answer can’t be verified",
      text: `It isn’t signed by the license server. Something on the network, such as ${between}, may have answered in its place. ${notChecked}`,
      next: elsewhere,
    },
    no_machine_id: {
      title: "This machine can’t be identified",
      text: "A license is tied to one machine, and this one’s id couldn’t be read.",
      next: [contactSeller],
    },
    load_failed: {
      title: "The license check couldn’t start",
      text: `Part of it is missing or was blocked. ${notChecked}`,
      next: inDesktopApp()
        ? ["Restart the app.", keepsHappening]
        : [
            "Reload the page.",
            "Turn off browser extensions that block content, or update your browser.",
            keepsHappening,
          ],
    },
    clock: {
      title: "This computer’s clock is wrong",
      text: "The license server couldn’t be reached, and your license can be checked without it only while the clock is right.",
      next: [
        "Set this computer’s date, time, and time zone.",
        "Check your internet connection.",
        "Try again.",
      ],
    },
  },
  helper: {
    no_extension: {
      title: "To use your license on this computer, install the helper",
      text: "Your license is tied to one computer. Only the helper can tell this page which computer this is. It works in Chrome, Edge, Brave, Chromium, and Firefox on a computer, not on a phone.",
      next: [
        "Install the helper’s extension in this browser.",
        "Install the helper’s program on this computer, then reload this page.",
      ],
    },
    no_program: {
      title: "To use your license on this computer, install the helper’s program",
      text: "The helper’s extension is in this browser. Its program is missing on this computer, or the browser can’t start it.",
      next: [
        "Install the helper’s program on this computer. If it’s already installed, install it again.",
        "Come back here. This page continues automatically.",
      ],
    },
    no_consent: {
      title: "Allow this site to identify this computer",
      text: "Your license is tied to one computer. The helper tells this site which computer this is only if you allow it.",
      next: [
        "Select Try again, then Allow in the window that opens.",
        "If no window opens, select the helper’s icon in the browser’s toolbar and allow this site there.",
      ],
    },
    refused: {
      title: "The helper didn’t answer this page",
      text: `It limits how often a page can ask, and it answers only pages in their own tab. ${notChecked}`,
      next: [
        "If this page is part of another page, open it in its own tab.",
        "Otherwise, wait a minute, then try again.",
        keepsHappening,
      ],
    },
  },
};

/** Replaces default texts with the given ones. Throws an `invalid_argument` for a text of the wrong type. */
export function mergeTexts(input: GateTextsInput | undefined): GateTexts {
  const texts = merge(defaultTexts, input, "texts") as GateTexts;
  try {
    Intl.getCanonicalLocales(texts.locale);
  } catch (cause) {
    throw invalid("texts.locale", "is not a language tag", cause);
  }
  return texts;
}

function merge(defaults: object, input: unknown, path: string): object {
  if (input === undefined) return defaults;
  if (typeof input !== "object" || input === null) throw invalid(path, "must be an object");
  const merged = Object.entries(defaults).map(([name, standard]: [string, unknown]) => {
    const given: unknown = Reflect.get(input, name);
    const place = `${path}.${name}`;
    if (given === undefined) return [name, standard];
    if (Array.isArray(standard)) {
      if (!Array.isArray(given) || given.some((step) => typeof step !== "string")) {
        throw invalid(place, "must be an array of strings");
      }
      return [name, given];
    }
    if (typeof standard === "object") return [name, merge(standard as object, given, place)];
    if (typeof given !== typeof standard) throw invalid(place, `must be a ${typeof standard}`);
    return [name, given];
  });
  return Object.fromEntries(merged);
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in the language of a locale, in the largest unit that fits. */
export function timeLeft(ms: number, locale: string, round: (value: number) => number): string {
  const inUnit = (unit: string, value: number): string =>
    new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(value);
  if (ms >= 2 * DAY) return inUnit("day", round(ms / DAY));
  if (ms >= 2 * HOUR) return inUnit("hour", round(ms / HOUR));
  if (ms >= 2 * MINUTE) return inUnit("minute", round(ms / MINUTE));
  return inUnit("second", Math.max(1, round(ms / SECOND)));
}

/** The sentence about the seconds until a retry, or "". */
export function waitText(seconds: number, texts: GateTexts): string {
  if (seconds === 0) return "";
  return texts.retryIn(timeLeft(seconds * SECOND, texts.locale, Math.ceil), seconds);
}
