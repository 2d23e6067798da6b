import { atMost, type Deadline, reducedTimeout } from "../abort.js";
import { LicenseError } from "../errors.js";
import type { InvalidVerdict, ValidateLicense, Validator, Verdict } from "../types.js";
import { validator } from "../validator.js";
import type {
  CheckResult,
  OfferedLease,
  PreparedCheck,
  RunningModule,
  Trust,
} from "../wasm/module.js";
import type { LeaseKeeper } from "./keeper.js";
import type { LeaseSettings } from "./options.js";
import type { KeptLease } from "./record.js";

/** A validator that keeps the leases it receives, and offers them to the module. */
export function leasingValidator(
  module: RunningModule,
  keeper: LeaseKeeper,
  { trust, leasing }: Pick<LeaseSettings, "trust" | "leasing">,
): Validator {
  const leases = new Leases(module, trust, keeper, leasing);
  return validator((licenseKey, hwid, options) =>
    leases.validateLicense(licenseKey, hwid, options),
  );
}

/**
 * Decides when a lease is kept, offered and removed, and when the server is asked
 * again. The module decides whether a lease may stand in for the server.
 *
 * - A lease that came with a yes is kept, and replaces the previous one.
 * - A kept lease is offered with every check of its license key and machine.
 * - A refusal removes it. Checks that were already running neither bring it back
 *   nor answer from it: the keeper counts refusals for them.
 * - Any other failure changes nothing but the latest time seen.
 */
class Leases {
  readonly #module: RunningModule;
  readonly #trust: Trust;
  readonly #keeper: LeaseKeeper;
  readonly #leasing: LeaseSettings["leasing"];
  /** The names of the leases that are being refreshed. */
  readonly #refreshing = new Set<string>();

  constructor(
    module: RunningModule,
    trust: Trust,
    keeper: LeaseKeeper,
    leasing: LeaseSettings["leasing"],
  ) {
    this.#module = module;
    this.#trust = trust;
    this.#keeper = keeper;
    this.#leasing = leasing;
  }

  async validateLicense(...given: Parameters<ValidateLicense>): Promise<Verdict> {
    const [licenseKey, hwid, options] = given;
    const check = this.#module.prepare(licenseKey, hwid, options, this.#trust);
    try {
      const { leaseName } = check;
      if (leaseName !== undefined) return await this.#check(check, leaseName);
      return (await check.run()).verdict;
    } finally {
      check.release();
    }
  }

  async #check(check: PreparedCheck, name: string): Promise<Verdict> {
    const { signal, timeoutMs } = check;
    const deadline: Deadline = { signal, timeoutMs, beganMs: performance.now() };
    const keeper = this.#keeper;
    const refusals = keeper.refusals(name);
    const kept = await atMost(keeper.offer(name), deadline);
    let answer: CheckResult;
    try {
      answer = await check.run(kept && this.#offered(kept), reducedTimeout(deadline));
    } catch (thrown) {
      if (kept) await atMost(keeper.touch(name, kept.lease), deadline);
      throw thrown;
    }
    const { verdict } = answer;
    if (verdict.source === "lease" && refusals !== keeper.refusals(name)) throw refusedMeanwhile();
    await atMost(this.#note(name, answer, refusals), deadline);
    if (this.#isOld(verdict, kept)) this.#refresh(name, check);
    return verdict;
  }

  #offered({ lease, lastSeen, skew }: KeptLease): OfferedLease {
    const preferLease = this.#leasing.revalidateAfterMs !== undefined;
    return { lease, clock: { lastSeen, skew }, preferLease };
  }

  /** Keeps what an answer brings, or removes what it ends. */
  async #note(name: string, { verdict, skew = 0 }: CheckResult, refusals: number): Promise<void> {
    if (!verdict.valid) return this.#keeper.forget(name);
    const { lease, source } = verdict;
    if (lease === undefined) return;
    if (source === "server") return this.#keeper.keep(name, lease, skew, refusals);
    return this.#keeper.touch(name, lease);
  }

  /** Whether an answer from a lease is so old that the server must be asked. Its age is measured by the corrected clock, as in the module. */
  #isOld({ source, checkedAt }: Verdict, kept: KeptLease | undefined): boolean {
    const { revalidateAfterMs } = this.#leasing;
    if (source !== "lease" || revalidateAfterMs === undefined) return false;
    const { skew = 0, lastSeen = 0 } = kept ?? {};
    const now = Math.max(Date.now() + skew, lastSeen);
    return now - Date.parse(checkedAt) >= revalidateAfterMs;
  }

  /** Asks the server in the background, one request at a time for each lease. */
  #refresh(name: string, check: PreparedCheck): void {
    if (this.#refreshing.has(name)) return;
    this.#refreshing.add(name);
    const refusals = this.#keeper.refusals(name);
    check
      .refresh()
      .then(async (answer) => {
        await this.#note(name, answer, refusals);
        if (!answer.verdict.valid) this.#tell(answer.verdict);
      })
      .catch(() => {}) // The lease stays as it was.
      .finally(() => this.#refreshing.delete(name));
  }

  #tell(verdict: InvalidVerdict): void {
    const { onChange } = this.#leasing;
    // In a microtask, so that what it throws is reported like any other listener's error.
    if (onChange) queueMicrotask(() => onChange(verdict));
  }
}

function refusedMeanwhile(): LicenseError {
  return new LicenseError(
    "unavailable",
    "The license server could not be reached, and has just refused this license in another call. Try again.",
    { retryable: true },
  );
}
