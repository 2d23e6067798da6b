import { LicenseError, loadFailed } from "../errors.js";
import type { Verdict } from "../types.js";
import { VERSION } from "../version.js";
import { GoProgram, type StandIns } from "./go.js";
import { Unreachable } from "./reach.js";

/** Whose signature counts. The values may be anything; the module refuses what it can't take. */
export interface Trust {
  publicKey?: unknown;
  issuer?: unknown;
  audience?: unknown;
}

/** What was kept of a lease, for a check. It stands where the caller's options name no other. */
export interface OfferedLease {
  lease: string;
  clock: { lastSeen: number; skew: number };
  preferLease: boolean;
}

/** What comes of a {@link PreparedCheck}. */
export interface CheckResult {
  verdict: Verdict;
  /** The server's time minus this clock's, where a lease came just now: it is kept with the lease. */
  skew?: number;
}

/** A check whose arguments have been read, and are read no more. */
export interface PreparedCheck {
  /** What its lease is called in a store; undefined where the license key can't be one. */
  readonly leaseName: string | undefined;
  /** The caller's own signal and timeout. */
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** Checks, with a lease to stand in and the time that is left of the caller's. */
  run(offered?: OfferedLease, timeoutMs?: number): Promise<CheckResult>;
  /** Asks the server alone: once, without a lease, and beyond the caller's signal. */
  refresh(): Promise<CheckResult>;
  /** Lets go of the arguments. What runs goes on. */
  release(): void;
}

/** What the module has for this package alone; wasm/prepare.go says more. */
interface PackageInterface {
  verifySettings: (settings: Trust) => unknown;
  prepare: (...args: unknown[]) => unknown;
  run: (handle: number, offered?: OfferedLease, timeoutMs?: number) => Promise<CheckResult>;
  refresh: (handle: number) => Promise<CheckResult>;
  release: (handle: number) => void;
}

interface Prepared {
  handle: number;
  name?: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** The module of whop-license while it runs. The arguments of a check may be anything: the module refuses what it can't take. */
export class RunningModule {
  readonly #program: GoProgram;
  readonly #validate: object;
  readonly #package: PackageInterface;
  /** Whether a public key is built into the module. */
  readonly hasPublicKey: boolean;

  private constructor(program: GoProgram, validate: object) {
    this.#program = program;
    this.#validate = validate;
    this.#package = Reflect.get(validate, "package");
    this.hasPublicKey = Reflect.get(validate, "hasPublicKey") === true;
  }

  /** Starts a compiled module. `onStop` is called once, when it can't answer any more. */
  static async start(
    compiled: WebAssembly.Module,
    endpoint: string,
    onStop: () => void,
    standIns: StandIns,
  ): Promise<RunningModule> {
    const program = new GoProgram({ WHOP_LICENSE_ENDPOINT: endpoint }, onStop, standIns);
    const validate = await program.start(compiled, "validateLicense");
    const version: unknown = Reflect.get(validate, "version");
    if (version !== VERSION) {
      throw loadFailed(
        `The WebAssembly module is version ${String(version)}, but this package is version ${VERSION}. ` +
          "Serve the whop-license.wasm of the installed package, and look for a stale copy or cache.",
      );
    }
    return new RunningModule(program, validate);
  }

  /** Checks without any lease but the caller's own. */
  validate(licenseKey: unknown, hwid: unknown, options: unknown): Promise<Verdict> {
    return this.#ask(this.#validate, [licenseKey, hwid, options]);
  }

  /** Throws the `invalid_argument` of settings that no check could be made with. */
  verifySettings(settings: Trust): void {
    this.#call(this.#package.verifySettings, [settings]);
  }

  /** Reads the arguments of a check, and throws the `invalid_argument` of those that can't be read. */
  prepare(licenseKey: unknown, hwid: unknown, options: unknown, settings: Trust): PreparedCheck {
    const own = this.#package;
    const read = this.#call(own.prepare, [licenseKey, hwid, options, settings]);
    const { handle, name, signal, timeoutMs } = read as Prepared;
    return {
      leaseName: name,
      signal,
      timeoutMs,
      run: (offered, leftMs) => this.#ask(own.run, [handle, offered, leftMs]),
      refresh: () => this.#ask(own.refresh, [handle]),
      release: () => {
        if (!this.#program.hasStopped) this.#call(own.release, [handle]);
      },
    };
  }

  /** An answer by a promise, with the module's own errors as instances of this package's class. */
  async #ask<Result>(f: object, args: unknown[]): Promise<Result> {
    try {
      return (await this.#program.ask(f, args)) as Result;
    } catch (thrown) {
      throw typed(thrown);
    }
  }

  /** An answer at once. A Go function can't throw, so it returns its error. */
  #call(f: object, args: unknown[]): unknown {
    const result = this.#program.call(f, args);
    if (result instanceof Error) throw typed(result);
    return result;
  }
}

function typed(thrown: unknown): LicenseError {
  if (thrown instanceof LicenseError) return thrown;
  if (thrown instanceof Error && thrown.name === "LicenseError") {
    const { code, message, cause } = thrown as LicenseError;
    if (!(cause instanceof Unreachable)) return new LicenseError(code, message, thrown);
    return new LicenseError(code, `${message} ${cause.message}`, { ...thrown, cause: cause.cause });
  }
  return loadFailed("The license module failed inside. Please report this.", { cause: thrown });
}
