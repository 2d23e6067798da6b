import { atMost, readLimits, remaining } from "../abort.js";
import { invalid, LicenseError } from "../errors.js";
import { copyOf } from "../options.js";
import type {
  InvalidVerdict,
  ValidateLicense,
  ValidateOptions,
  Validator,
  Verdict,
} from "../types.js";
import type { Added, Answer, Program } from "../wasm/module.js";
import type { KeptLease, LeaseKeeper } from "./keeper.js";
import type { Settings } from "./options.js";

/** Whose signature counts, as the module takes it. */
export type Trust = Pick<Added, "publicKey" | "issuer" | "audience">;

/** How leases are used. */
export interface Leasing {
  keeper: LeaseKeeper;
  /** From which age of its lease an answer is refreshed; `undefined` asks the server first. */
  revalidateAfterMs?: number | undefined;
  onChange?: ((verdict: InvalidVerdict) => void) | undefined;
}

/** Makes a validator, or rejects with the `invalid_argument` of a setting that the module refuses. */
export async function makeValidator(
  program: Program,
  { trust, leasing, needsKey }: Settings,
  keeper: LeaseKeeper,
): Promise<Validator> {
  if (Object.values(trust).some((value) => value !== undefined)) await check(program, trust);
  if (program.hasPublicKey || trust.publicKey !== undefined) {
    return leasingValidator(program, trust, { keeper, ...leasing });
  }
  if (needsKey) throw invalid(needsKey, "needs a publicKey: without one there are no leases");
  return validator(program, (licenseKey, hwid, options) =>
    program.validate(licenseKey, hwid, options),
  );
}

/** Has the module judge the settings, by a call that is not sent for want of a license key. */
async function check(program: Program, trust: Trust): Promise<void> {
  try {
    await program.validate("", undefined, undefined, trust);
  } catch (thrown) {
    if ((thrown as LicenseError).argument !== "licenseKey") throw thrown;
  }
}

/** A validator that keeps the leases it is sent, and offers them to the module. */
function leasingValidator(
  program: Program,
  trust: Trust,
  { keeper, revalidateAfterMs, onChange }: Leasing,
): Validator {
  const refreshing = new Set<string>();

  return validator(program, async (licenseKey, hwid, options) => {
    // These are read again after the store has answered, and for a refresh.
    const machine = copyOf(hwid);
    const given = copyOf(options);
    const name = program.leaseName(licenseKey, machine);
    if (name === undefined) return program.validate(licenseKey, machine, given, trust);
    const limits = readLimits(given);
    const refusals = keeper.refusals(name);
    const kept = await atMost(keeper.offer(name), limits);
    const added: Added = { ...trust };
    if (kept) {
      added.lease = kept.lease;
      added.clock = { lastSeen: kept.lastSeen, skew: kept.skew };
      added.preferLease = revalidateAfterMs !== undefined;
    }
    let answer: Answer;
    try {
      answer = await program.validate(licenseKey, machine, remaining(given, limits), added);
    } catch (thrown) {
      if (kept) await atMost(keeper.touch(name, kept.lease), limits);
      throw thrown;
    }
    if (answer.source === "lease" && refusals !== keeper.refusals(name)) throw refusedMeanwhile();
    await atMost(note(name, answer, refusals), limits);
    if (isOld(answer, kept)) refresh(name, licenseKey, machine, given);
    return verdictOf(answer);
  });

  /** Keeps what an answer brings, or forgets what it ends. */
  async function note(name: string, answer: Answer, refusals: number): Promise<void> {
    if (!answer.valid) return keeper.forget(name);
    const { lease, source, skew = 0 } = answer;
    if (lease === undefined) return;
    if (source === "server") return keeper.keep(name, lease, skew, refusals);
    return keeper.touch(name, lease);
  }

  function isOld({ source, checkedAt }: Verdict, kept: KeptLease | undefined): boolean {
    if (source !== "lease" || revalidateAfterMs === undefined) return false;
    const { skew = 0, lastSeen = 0 } = kept ?? {};
    const now = Math.max(Date.now() + skew, lastSeen);
    return now - Date.parse(checkedAt) >= revalidateAfterMs;
  }

  function refresh(
    name: string,
    licenseKey: string,
    hwid: string | Record<string, string> | undefined,
    given: ValidateOptions | undefined,
  ): void {
    if (refreshing.has(name)) return;
    refreshing.add(name);
    const refusals = keeper.refusals(name);
    // Once, as the next call tries again; and without a lease only the server will do.
    const asked = { ...given, maxAttempts: 1 };
    for (const own of ["signal", "lease", "clock"] as const) delete asked[own];
    program
      .validate(licenseKey, hwid, asked, trust)
      .then(async (answer) => {
        await note(name, answer, refusals);
        if (!answer.valid) tell(answer);
      })
      .catch(() => {}) // The lease stands as it did.
      .finally(() => refreshing.delete(name));
  }

  function tell(verdict: InvalidVerdict): void {
    if (!onChange) return;
    // What it throws is reported as of any other listener, and not lost here.
    queueMicrotask(() => onChange(verdict));
  }
}

/** An answer without what is only for this package. */
function verdictOf(answer: Answer): Verdict {
  if (!answer.valid) return answer;
  const { skew: _, ...verdict } = answer;
  return verdict;
}

function refusedMeanwhile(): LicenseError {
  return new LicenseError(
    "unavailable",
    "The license server could not be asked, and meanwhile refused this license to another call. Try again.",
    { retryable: true },
  );
}

function validator(program: Program, validateLicense: ValidateLicense): Validator {
  return Object.freeze({ validateLicense, version: program.version });
}
