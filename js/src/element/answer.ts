// Makes a validator's answer safe to show and to pass on.
import {
  blamesClock,
  clockCause,
  LicenseError,
  type LicenseErrorReason,
  textOf,
} from "../errors.js";
import type { Verdict, VerdictError } from "../types.js";
import { VERSION } from "../version.js";
import { type GateTexts, type OutcomeCode, type OutcomeTexts, timeLeft } from "./texts.js";

/** Either a verdict, or why there is none. */
export type Answer = Verdict | LicenseError;

/** How an outcome is shown, in addition to its texts. */
export interface Manner {
  tone: "good" | "warn" | "bad" | "neutral";
  /** With the form, because typing the key again may help. */
  form?: true;
  /** With the error's own message, because nothing else says what to do. */
  message?: true;
  manage?: true;
  buy?: true;
  support?: true;
  retry?: true;
  /** With the link to the browser helper. */
  helper?: true;
  /** With a button that reloads the page, because Chrome adds an extension only to new pages. */
  reload?: true;
}

const verdicts = {
  valid: { tone: "good" },
  metadata_mismatch: { tone: "warn", manage: true, retry: true },
  not_found: { tone: "bad", form: true, manage: true, buy: true },
  inactive: { tone: "bad", manage: true, buy: true, retry: true },
} as const;

const errors = {
  invalid_argument: { tone: "warn", message: true, support: true },
  unauthorized: { tone: "warn", support: true, retry: true },
  rate_limited: { tone: "warn", retry: true },
  unavailable: { tone: "warn", retry: true },
  timeout: { tone: "warn", retry: true },
  aborted: { tone: "neutral", form: true, retry: true },
  bad_response: { tone: "warn", support: true, retry: true },
  untrusted_response: { tone: "warn", support: true, retry: true },
  no_machine_id: { tone: "warn", message: true, support: true, retry: true },
  load_failed: { tone: "warn", message: true, support: true, retry: true },
} as const;

const manners: Readonly<Record<OutcomeCode, Manner>> = {
  ...verdicts,
  ...errors,
  clock: { tone: "warn", retry: true },
};

const helperManners: Readonly<Record<LicenseErrorReason, Manner>> = {
  no_extension: { tone: "neutral", helper: true, reload: true },
  no_program: { tone: "neutral", helper: true, retry: true },
  no_consent: { tone: "neutral", retry: true },
  refused: { tone: "warn", retry: true, support: true },
};

/** What is missing of the browser helper, if an answer is about that. */
export function lackOf(answer: Answer | undefined): LicenseErrorReason | undefined {
  return answer instanceof LicenseError ? answer.reason : undefined;
}

function outcomeOf(answer: Answer): OutcomeCode {
  return answer instanceof LicenseError && blamesClock(answer) ? "clock" : answer.code;
}

/** How an answer is shown. */
export function mannerOf(answer: Answer): Manner {
  const lack = lackOf(answer);
  return lack ? helperManners[lack] : manners[outcomeOf(answer)];
}

function textsOn(answer: Answer, texts: GateTexts): OutcomeTexts {
  const lack = lackOf(answer);
  return lack ? texts.helper[lack] : texts.outcomes[outcomeOf(answer)];
}

/** Whether typing the license key again may help. */
export function asksForKey(answer: Answer): boolean {
  return blamesKey(answer) || mannerOf(answer).form === true;
}

/** The errors that another network, or being online again, may resolve. */
const NETWORK = /^(unavailable|timeout|bad_response|untrusted_response|unauthorized)$/;

/** Whether coming back online may change an answer. */
export function mayChangeOnline(answer: Answer | undefined): boolean {
  if (!(answer instanceof LicenseError)) return false;
  return NETWORK.test(answer.code) || (answer.code === "load_failed" && answer.retryable);
}

/** What the customer is told about an answer. */
export interface Advice {
  title: string;
  text: string;
  /** The error's own message, or "". */
  message: string;
  next: readonly string[];
}

export function adviceOn(answer: Answer, texts: GateTexts, online: boolean): Advice {
  const outcome = outcomeOf(answer);
  const { title, text, next } = textsOn(answer, texts);
  const offline = !online && (outcome === "unavailable" || outcome === "load_failed");
  if (offline) {
    return { title, text: texts.offline, message: "", next: texts.outcomes.unavailable.next };
  }
  const tells = mannerOf(answer).message && answer instanceof LicenseError && !answer.retryable;
  return { title, text, message: tells ? answer.message.slice(0, MAX_MESSAGE) : "", next };
}

const MAX_MESSAGE = 500;

/**
 * Reads a verdict, and removes the license key from it. Returns undefined if the value
 * is not a verdict, because nothing else may open a gate.
 */
export function readVerdict(value: unknown, licenseKey = ""): Verdict | undefined {
  if (!isObject(value)) return undefined;
  const verdict = { ...value } as Verdict;
  if (verdict.valid === true && verdict.code === "valid" && isObject(verdict.membership)) {
    const { license_key: _, ...membership } = verdict.membership;
    const error = isObject(verdict.error) && { error: readFailure(verdict.error, licenseKey) };
    return { ...verdict, membership, ...error };
  }
  const refused = verdict.code !== "valid" && Object.hasOwn(verdicts, verdict.code);
  if (verdict.valid !== false || !refused) return undefined;
  return { ...verdict, message: redact(String(verdict.message), licenseKey) };
}

/** Why there was no verdict from the server, without the license key. */
function readFailure(error: VerdictError, licenseKey: string): VerdictError {
  return { ...error, message: redact(String(error.message), licenseKey) };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Whether it is a LicenseError. It is compared by name, because it may come from another copy of the class. */
export function isLicenseError(thrown: unknown): thrown is LicenseError {
  return thrown instanceof Error && thrown.name === "LicenseError";
}

/**
 * Makes a LicenseError from whatever was thrown, without the license key. A cause may
 * hold the key anywhere, so only the cause of a wrong clock is kept, without its text.
 */
export function readError(thrown: unknown, licenseKey = ""): LicenseError {
  try {
    if (isLicenseError(thrown)) {
      const { code, message, retryable, argument, status, retryAfterMs, reason } = thrown;
      if (Object.hasOwn(errors, code)) {
        return new LicenseError(code, redact(String(message), licenseKey), {
          retryable: retryable === true,
          argument: typeof argument === "string" ? argument : undefined,
          status: typeof status === "number" ? status : undefined,
          retryAfterMs: Number(retryAfterMs) > 0 ? Number(retryAfterMs) : undefined,
          reason: code === "no_machine_id" && isLack(reason) ? reason : undefined,
          cause: blamesClock(thrown) ? clockCause("The clock is wrong.") : undefined,
        });
      }
    }
    // If the page's own code could not be loaded while offline, it may be loaded later.
    const retryable = navigator.onLine === false;
    return new LicenseError("load_failed", redact(textOf(thrown), licenseKey), { retryable });
  } catch {
    return new LicenseError("load_failed", "The validator threw something that can't be read.");
  }
}

function isLack(reason: unknown): reason is LicenseErrorReason {
  return typeof reason === "string" && Object.hasOwn(helperManners, reason);
}

function redact(text: string, licenseKey: string): string {
  // A shorter text is not a license key, and could be part of any word.
  if (licenseKey.length < 4) return text;
  let redacted = text;
  for (const form of [licenseKey, percentEncoded(licenseKey)]) {
    for (const written of [form, form.toUpperCase(), form.toLowerCase()]) {
      redacted = redacted.replaceAll(written, "•••");
    }
  }
  return redacted;
}

function percentEncoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text; // It isn't well-formed, so it isn't in any URL.
  }
}

/** The event that a gate dispatches for an answer. */
export function eventOf(answer: Answer): CustomEvent<Answer> {
  const name = answer instanceof LicenseError ? "error" : answer.valid ? "valid" : "refused";
  return new CustomEvent(`whop-license-${name}`, { detail: answer, bubbles: true, composed: true });
}

/** Whether an answer says that the text is not a license key at all. */
export function blamesKey(answer: Answer): boolean {
  return answer.code === "invalid_argument" && answer.argument === "licenseKey";
}

/** When a verdict's lease ends, in milliseconds since the epoch. */
export function leaseEnd(answer: Answer): number | undefined {
  const { leaseExpiresAt } = answer as { leaseExpiresAt?: unknown };
  const end = Date.parse(String(leaseExpiresAt));
  return Number.isNaN(end) ? undefined : end;
}

/** What a seller needs to find a problem, without the license key and the machine id. */
export function reportOf(answer: Answer): string {
  const message = "message" in answer ? answer.message.slice(0, MAX_MESSAGE) : undefined;
  const lines = [
    ["Outcome", [answer.code, lackOf(answer)].filter(Boolean).join(" ")],
    ["Message", message],
    ["HTTP status", "status" in answer ? answer.status : undefined],
    ["Time", new Date().toISOString()],
    ["Version", VERSION],
    ["Browser", navigator.userAgent],
  ];
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

const URGENT = 3 * 24 * 3_600_000;

/** The notice about a lease that stands in for the server, and whether it ends soon. */
export function leaseNotice(
  answer: Answer | undefined,
  texts: GateTexts,
): { text: string; urgent: boolean } {
  if (answer?.code !== "valid" || answer.source !== "lease") return { text: "", urgent: false };
  const end = leaseEnd(answer);
  if (end === undefined) return { text: texts.leaseWithoutEnd, urgent: true };
  const left = end - Date.now();
  // The lease was accepted anyway, so this computer's clock is wrong.
  if (left <= 0) return { text: texts.leaseWithoutEnd, urgent: true };
  const time = timeLeft(left, texts.locale, Math.floor);
  return { text: texts.lease(time, new Date(end)), urgent: left < URGENT };
}
