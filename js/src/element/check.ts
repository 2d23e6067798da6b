// One check: asks the page's validator, with the page's machine id, and makes an answer.
import { untilAborted } from "../abort.js";
import { LicenseError, textOf } from "../errors.js";
import type { Verdict } from "../types.js";
import { type Answer, isLicenseError, readError, readVerdict } from "./answer.js";

/** What a gate asks: the validator from `loadValidator`, or an object that answers like it. */
export interface GateValidator {
  validateLicense(
    licenseKey: string,
    hwid?: string,
    options?: { signal?: AbortSignal },
  ): Promise<Verdict>;
}

/** A validator, a promise of one, or a function that returns either and is called for every check. */
export type GateValidatorSource =
  | GateValidator
  | PromiseLike<GateValidator>
  | (() => GateValidator | PromiseLike<GateValidator>);

/** This machine's id, or a function that returns it or a promise of it, and is called for every check. */
export type GateMachineId = string | (() => string | PromiseLike<string>);

/** A check that is running. */
export interface Run {
  /** What started it; `store` is a remembered key, `helper` a change of the browser helper's state. */
  readonly by: "customer" | "store" | "app" | "helper";
  readonly controller: AbortController;
  readonly done: Promise<void>;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}

export function isValidatorSource(value: unknown): value is GateValidatorSource {
  return (
    typeof value === "function" ||
    isThenable(value) ||
    typeof (value as GateValidator | null)?.validateLicense === "function"
  );
}

/** Checks a license key. It never rejects, and answers at once when the signal aborts. */
export function check(
  validator: GateValidatorSource | undefined,
  machineId: GateMachineId | undefined,
  licenseKey: string,
  signal: AbortSignal,
): Promise<Answer> {
  return untilAborted(ask(validator, machineId, licenseKey, signal), signal)
    .then((value) => {
      const verdict = readVerdict(value, licenseKey);
      if (verdict) return verdict;
      throw new LicenseError("load_failed", "The validator's answer is not a verdict.");
    })
    .catch((thrown: unknown) => readError(thrown, licenseKey));
}

async function ask(
  source: GateValidatorSource | undefined,
  machineId: GateMachineId | undefined,
  licenseKey: string,
  signal: AbortSignal,
): Promise<unknown> {
  if (!source) {
    throw new LicenseError(
      "load_failed",
      "The gate has no validator. Set its property `validator`.",
    );
  }
  const [validator, hwid] = await Promise.all([
    typeof source === "function" ? source() : source,
    readMachineId(machineId),
  ]);
  return validator.validateLicense(licenseKey, hwid, { signal });
}

async function readMachineId(machineId: GateMachineId | undefined): Promise<string | undefined> {
  if (machineId === undefined) return undefined;
  let id: unknown;
  try {
    id = typeof machineId === "function" ? await machineId() : machineId;
  } catch (thrown) {
    if (isLicenseError(thrown)) throw thrown;
    throw new LicenseError("no_machine_id", `machineId failed: ${textOf(thrown)}`);
  }
  if (typeof id === "string" && id.trim() !== "") return id;
  throw new LicenseError("no_machine_id", "machineId returned no text.");
}
