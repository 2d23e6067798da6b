import { dirname, join } from "node:path";
import { aborted, MAX_TIMER_MS, readSignal, untilAborted } from "../abort.js";
import { CHECKSUMS } from "../checksums.js";
import { invalid, LicenseError, loadFailed } from "../errors.js";
import { readOptions } from "../options.js";
import { RpcError, SidecarProcess } from "./process.js";
import { notLookedFor, type SidecarProgram, sidecarPlatform } from "./program.js";
import type { MachineId, MachineIdOptions, Sidecar, SidecarOptions } from "./types.js";

const DEFAULT_TIMEOUT_MS = 5_000;
const FIRST_START_MS = 30_000;

const MAX_TEXT_LENGTH = 4_096; // far below the sidecar's limit for a frame

const INVALID_PARAMS = -32602;
const NO_MACHINE_ID = -32001;

const PLATFORMS = /^(linux|darwin|win32)-(x64|arm64)$/;

// The app's archive. The last match counts, because a folder above it may have the same
// name. A universal app for macOS may have an archive for each architecture.
const ARCHIVE = /^((?:.*[\\/])?app(?:-x64|-arm64)?\.asar)(?=[\\/])/s;

/** Finds a file of an installed package, as `require.resolve` does. */
export type Resolve = (name: string) => string;

/** Makes an entry point's createSidecar, given how it finds this platform's package. */
export function sidecarFactory(resolve: Resolve): (options?: SidecarOptions) => Sidecar {
  return (options) => {
    const { path, timeoutMs = DEFAULT_TIMEOUT_MS } = readOptions(options, ["path", "timeoutMs"]);
    if (path !== undefined && (typeof path !== "string" || path === "")) {
      throw invalid("path", "must be the path of a program, as a non-empty string");
    }
    if (typeof timeoutMs !== "number" || !(timeoutMs >= 1 && timeoutMs <= MAX_TIMER_MS)) {
      throw invalid("timeoutMs", `must be a number from 1 to ${MAX_TIMER_MS}`);
    }
    return new Client(() => locate(path, resolve), timeoutMs);
  };
}

function locate(path: string | undefined, resolve: Resolve): SidecarProgram {
  const own = process.env.WHOP_LICENSE_SIDECAR || path;
  const program = own ? { path: own } : packaged(resolve);
  // A program inside Electron's archive can't be started; its unpacked copy can.
  return { ...program, path: program.path.replace(ARCHIVE, "$1.unpacked") };
}

function packaged(resolve: Resolve): SidecarProgram {
  const platform = sidecarPlatform();
  const own =
    "build the sidecar yourself and give its path in the `path` option or in WHOP_LICENSE_SIDECAR.";
  if (!PLATFORMS.test(platform)) {
    throw loadFailed(
      `There is no sidecar for ${platform}. Use linux, darwin or win32 on x64 or arm64, or ${own}`,
    );
  }
  const name = `@whop-license/sidecar-${platform}`;
  const file = `whop-license-sidecar${process.platform === "win32" ? ".exe" : ""}`;
  try {
    const folder = dirname(resolve(`${name}/package.json`));
    return { path: join(folder, "bin", file), digest: CHECKSUMS.programs[platform] ?? "" };
  } catch (cause) {
    if (cause instanceof LicenseError) throw cause; // It says more.
    const passing = notLookedFor();
    if (passing) throw passing;
    if (isBundled(resolve)) {
      throw loadFailed(
        "The sidecar can't be located here, as happens in a bundle. Keep whop-license out of the bundle " +
          '(esbuild, Rollup, Vite: external; webpack: externals; Next: serverExternalPackages: ["whop-license"]). ' +
          "For a program in one file, as with `bun build --compile` or Node's single executable applications, ship the " +
          `program ${file} of the package ${name} next to it, and give its path in the \`path\` option of ` +
          "createSidecar or in WHOP_LICENSE_SIDECAR.",
        { cause },
      );
    }
    throw loadFailed(
      `The package ${name} is not installed. It is an optional dependency of whop-license: install again without ` +
        "--omit=optional or --no-optional, on this platform or for it (npm's --os and --cpu, supportedArchitectures " +
        "of pnpm and Yarn). Don't copy node_modules from another platform. If the lock file doesn't list the " +
        "package, which can happen when npm wrote it on another platform, delete the lock file and node_modules, " +
        `and install again. Or ${own}`,
      { cause },
    );
  }
}

/** Whether the code runs outside of its package. */
function isBundled(resolve: Resolve): boolean {
  try {
    resolve("whop-license/package.json");
    return false;
  } catch {
    return true;
  }
}

class Client implements Sidecar {
  readonly #locate: () => SidecarProgram;
  readonly #timeoutMs: number;
  #running: SidecarProcess | undefined;
  #hasStarted = false;
  #closed = false;

  constructor(locate: () => SidecarProgram, timeoutMs: number) {
    this.#locate = locate;
    this.#timeoutMs = timeoutMs;
  }

  async machineId(options?: MachineIdOptions): Promise<MachineId> {
    const { scheme, appId, signal } = readOptions(options, ["scheme", "appId", "signal"]);
    const params = { scheme: readText("scheme", scheme), appId: readText("appId", appId) };
    const abort = readSignal(signal);
    if (abort?.aborted) throw aborted(abort);
    if (this.#closed) throw closed();

    // Keeps this process alive while a caller waits.
    const awake = setInterval(() => {}, MAX_TIMER_MS);
    try {
      return await untilAborted(this.#ask(this.#start(), params), abort);
    } finally {
      clearInterval(awake);
    }
  }

  async #ask(sidecar: SidecarProcess, params: Params): Promise<MachineId> {
    const startMs = this.#hasStarted ? 0 : FIRST_START_MS;
    await stopAfter(Math.max(this.#timeoutMs, startMs), sidecar, sidecar.ready);
    this.#hasStarted = true;
    return stopAfter(this.#timeoutMs, sidecar, ask(sidecar, params));
  }

  close(): void {
    this.#closed = true;
    this.#running?.stop(closed());
  }

  #start(): SidecarProcess {
    const running =
      this.#running ??
      new SidecarProcess(this.#locate(), () => {
        this.#running = undefined;
      });
    this.#running = running;
    return running;
  }
}

/** Waits for a promise, and stops a sidecar that takes too long, even if no caller waits anymore. */
async function stopAfter<T>(ms: number, sidecar: SidecarProcess, promise: Promise<T>): Promise<T> {
  let settled = false;
  const onTimeout = () => {
    if (!settled) sidecar.stop(timedOut(ms));
  };
  // If this process was busy, the answer may already be in the pipe, and still counts.
  const timer = setTimeout(() => setImmediate(onTimeout), ms);
  timer.unref();
  try {
    return await promise;
  } finally {
    settled = true;
    clearTimeout(timer);
  }
}

interface Params {
  scheme: string | undefined;
  appId: string | undefined;
}

async function ask(sidecar: SidecarProcess, params: Params): Promise<MachineId> {
  try {
    return readMachineId(await sidecar.request("machineId", params), params, sidecar);
  } catch (thrown) {
    if (!(thrown instanceof RpcError)) throw thrown;
    switch (thrown.code) {
      case INVALID_PARAMS:
        throw new LicenseError("invalid_argument", thrown.message, { cause: thrown });
      case NO_MACHINE_ID:
        throw new LicenseError("no_machine_id", thrown.message, { cause: thrown });
    }
    const message = `The sidecar could not read this machine's id: ${thrown.message}`;
    throw new LicenseError("no_machine_id", message, { cause: thrown });
  }
}

function readMachineId(result: unknown, asked: Params, sidecar: SidecarProcess): MachineId {
  const { id, scheme, source, warnings } = (result ?? {}) as Partial<MachineId>;
  if (
    typeof id === "string" &&
    /^[0-9a-f]{64}$/.test(id) &&
    typeof scheme === "string" &&
    scheme === (asked.scheme ?? "node-machine-id") &&
    typeof source === "string" &&
    Array.isArray(warnings) &&
    warnings.every((warning) => typeof warning === "string")
  ) {
    return { id, scheme, source, warnings };
  }
  const broken = new LicenseError("no_machine_id", "The sidecar's answer is not a machine id.");
  sidecar.stop(broken);
  throw broken;
}

function readText(argument: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid(argument, "must be a string");
  if (value.length > MAX_TEXT_LENGTH) {
    throw invalid(argument, `is longer than ${MAX_TEXT_LENGTH} characters`);
  }
  if (/\p{Surrogate}/u.test(value)) throw invalid(argument, "is not well-formed Unicode");
  return value;
}

function timedOut(ms: number): LicenseError {
  const message = `The sidecar did not answer within ${ms} ms and was stopped.`;
  return new LicenseError("timeout", message, { retryable: true });
}

function closed(): LicenseError {
  return new LicenseError("aborted", "The sidecar was closed.");
}
