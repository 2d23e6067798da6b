import { closeSync, openSync, statSync } from "node:fs";
import { devNull } from "node:os";
import { resolve } from "node:path";
import { type LicenseError, loadFailed, passes, textOf } from "../errors.js";

const MAX_WINDOWS_PATH = 259; // Windows' MAX_PATH, without the NUL at its end

/** A program to start. */
export interface SidecarProgram {
  path: string;
  /** What `programDigest` must return for it; undefined for a program of the seller's own. */
  digest?: string;
}

/** The signals that end a process from outside. */
const INTERRUPTS = /^SIG(KILL|TERM|INT|HUP)$/;

/** The platform of the program to start, in Node's names. A 32-bit app on Windows starts the 64-bit program. */
export function sidecarPlatform(): string {
  const { platform, arch } = process;
  return `${platform}-${platform === "win32" && arch === "ia32" ? "x64" : arch}`;
}

/** Whether a program that ended by a signal may run when it is started again. */
export function mayStartLater(signal: NodeJS.Signals | null): boolean {
  // macOS kills a program whose signature is broken.
  return INTERRUPTS.test(signal ?? "") && !(process.platform === "darwin" && signal === "SIGKILL");
}

/** Why a program could not be started, and what to do. */
export function notStarted(program: SidecarProgram, cause: unknown): LicenseError {
  const { path } = program;
  const what = `The sidecar for ${sidecarPlatform()} at ${path}`;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "";
  if (process.platform === "win32" && resolve(path).length > MAX_WINDOWS_PATH) {
    return loadFailed(
      `${what} can't be started, because Windows starts no program whose path is longer than ` +
        `${MAX_WINDOWS_PATH} characters. Install the app in a folder with a shorter path.`,
      { cause },
    );
  }
  if (code === "ENOENT") return loadFailed(absent(program), { cause });
  if (code === "EACCES" || code === "EPERM") {
    return loadFailed(`${what} may not be run. ${howToAllow(path)}`, { cause });
  }
  if (passes(cause)) return notNow(what, code, cause);
  return loadFailed(`${what} can't be started: ${textOf(cause)}. ${OWN_PATH}; ${UNPACK}`, {
    cause,
  });
}

/**
 * Why a program could not even be looked for: the system can't open any more files, and
 * Node's resolver (from 24 on) then says that there is none. Undefined if it can.
 */
export function notLookedFor(): LicenseError | undefined {
  try {
    closeSync(openSync(devNull, "r"));
    return undefined;
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    return passes(cause) ? notNow(`The sidecar for ${sidecarPlatform()}`, code, cause) : undefined;
  }
}

function notNow(what: string, code: string, cause: unknown): LicenseError {
  return loadFailed(`${what} can't be started at the moment (${code}). Try again.`, {
    cause,
    retryable: true,
  });
}

const OWN_PATH = "Give its path in the `path` option or in WHOP_LICENSE_SIDECAR";
const UNPACK = "in an Electron app, unpack `@whop-license/sidecar-*` (asarUnpack).";

function absent({ path, digest }: SidecarProgram): string {
  const there = `There is no sidecar for ${sidecarPlatform()} at ${path}.`;
  if (digest === undefined) return `${there} ${OWN_PATH}; ${UNPACK}`;
  // Its package is installed, or else the package would not have been found.
  return (
    `${there} It was installed, so antivirus software may have removed it: restore and allow it there, and ` +
    `install the app again (in development: delete node_modules/@whop-license, and install). Or it was not packed: ${UNPACK}`
  );
}

function howToAllow(path: string): string {
  if (process.platform === "win32") {
    return "Antivirus software or a policy of this computer blocks it: allow it there.";
  }
  let mode = 0;
  try {
    const stat = statSync(path);
    if (stat.isFile()) mode = stat.mode;
  } catch {
    // A folder above it can't be read.
  }
  if ((mode & 0o111) === 0) return "Make it executable.";
  return (
    "It is executable, so its file system is mounted `noexec`, or a policy (SELinux, AppArmor) forbids it: " +
    "install the app in another folder, or give the path of a copy elsewhere in the `path` option or in WHOP_LICENSE_SIDECAR."
  );
}
