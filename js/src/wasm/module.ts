import { LicenseError, loadFailed } from "../errors.js";
import type { Verdict } from "../types.js";
import { VERSION } from "../version.js";
import { GoProgram, type StandIns } from "./go.js";
import { Unreachable } from "./reach.js";

/** Whose signature counts. The values may be anything; the module validates them. */
export interface Trust {
  publicKey?: unknown;
  issuer?: unknown;
  audience?: unknown;
}

/** A kept lease, for a check. It applies if the caller's options name no other lease. */
export interface OfferedLease {
  lease: string;
  clock: { lastSeen: number; skew: number };
  preferLease: boolean;
}

/** The result of a {@link PreparedCheck}. */
export interface CheckResult {
  verdict: Verdict;
  /** The server's time minus this clock's, if a lease has just arrived. It is kept with the lease. */
  skew?: number;
}

/** A check whose arguments have been read. They are not read again. */
export interface PreparedCheck {
  /** The name of its lease in a store; undefined if the license key is malformed. */
  readonly leaseName: string | undefined;
  /** The caller's own signal and timeout. */
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** Checks, with a lease that may stand in, and with what is left of the caller's timeout. */
  run(offered?: OfferedLease, timeoutMs?: number): Promise<CheckResult>;
  /** Asks only the server: once, without a lease, and regardless of the caller's signal. */
  refresh(): Promise<CheckResult>;
  /** Releases the arguments. A check that is running continues. */
  release(): void;
}

/** What the module exports for this package only; see wasm/prepare.go. */
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

/** The running module of whop-license. The arguments of a check may be anything: the module validates them. */
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

  /** Starts a compiled module. `onStop` is called once, when the module can't answer anymore. */
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

  /** Checks with no lease other than the caller's own. */
  validate(licenseKey: unknown, hwid: unknown, options: unknown): Promise<Verdict> {
    return this.#ask(this.#validate, [licenseKey, hwid, options]);
  }

  /** Throws `invalid_argument` if no check could work with the settings. */
  verifySettings(settings: Trust): void {
    this.#call(this.#package.verifySettings, [settings]);
  }

  /** Reads the arguments of a check. Throws `invalid_argument` if they can't be read. */
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

  /** An asynchronous answer, with the module's errors as instances of this package's class. */
  async #ask<Result>(f: object, args: unknown[]): Promise<Result> {
    try {
      return (await this.#program.ask(f, args)) as Result;
    } catch (thrown) {
      throw typed(thrown);
    }
  }

  /** A synchronous answer. A Go function can't throw, so it returns its error. */
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
