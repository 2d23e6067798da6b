import { LicenseError, loadFailed } from "../errors.js";
import type { InvalidVerdict, ValidVerdict } from "../types.js";
import { VERSION } from "../version.js";
import { defineGo } from "./runtime.js";
import { instantiate } from "./source.js";

const SAID = "The console may say why.";

/** What the module adds to each call of the package's own; a caller's options come after it. */
export interface Added {
  publicKey?: unknown;
  issuer?: unknown;
  audience?: unknown;
  lease?: string;
  clock?: { lastSeen: number; skew: number };
  preferLease?: boolean;
}

/** The module's answer: a verdict and, where something was added and a lease came, the skew to keep with it. */
export type Answer = (ValidVerdict & { skew?: number }) | InvalidVerdict;

/** A running Go program. Its arguments may be anything; the module refuses what it can't take. */
export interface Program {
  validate(licenseKey: unknown, hwid: unknown, options: unknown, added?: Added): Promise<Answer>;
  /** Names the lease of a license key and machine id in a store, or is undefined where they can't have one. */
  leaseName(licenseKey: unknown, hwid: unknown): string | undefined;
  /** Whether a public key is built into the module. */
  readonly hasPublicKey: boolean;
  readonly version: string;
}

/**
 * Starts the Go program of a compiled module. `onStop` is called once, when it
 * can't answer any more. `crypto` stands in where the global object has none.
 */
export async function start(
  module: WebAssembly.Module,
  endpoint: string,
  onStop: () => void,
  crypto?: object,
): Promise<Program> {
  const scope: object = shadowGlobal(crypto);
  defineGo(scope);
  scope.fs.writeSync = toConsole();
  const go = new scope.Go();
  go.env = { WHOP_LICENSE_ENDPOINT: endpoint };
  const instance = await instantiate(module, go.importObject);

  const inFlight = new Set<(reason: unknown) => void>();
  let stopped: { cause?: unknown } | undefined;
  const stop = (details: { cause?: unknown } = {}) => {
    if (stopped) return;
    stopped = details;
    for (const timer of go._scheduledTimeouts.values()) clearTimeout(timer);
    go._scheduledTimeouts.clear();
    for (const reject of inFlight) reject(hasStopped(details));
    onStop();
  };
  go.exit = () => stop();
  // Go's own version throws into whatever event comes after the end, such as
  // the answer of a fetch, where nobody could catch it.
  const resume = go._resume;
  go._resume = () => {
    if (stopped) return;
    try {
      resume.call(go);
    } catch (cause) {
      stop({ cause });
    }
  };

  const ran = go.run(instance).then(
    () => stop(),
    (cause: unknown) => stop({ cause }),
  );
  const validate = scope.validateLicense;
  if (typeof validate !== "function" || stopped) {
    // A start that failed is known one turn later.
    await Promise.race([ran, Promise.resolve()]);
    throw loadFailed(
      "The WebAssembly module is not whop-license's, or ended as soon as it was started. " +
        `Check the \`wasm\` option. ${SAID}`,
      stopped,
    );
  }
  const version: unknown = Reflect.get(validate, "version");
  if (version !== VERSION) {
    throw loadFailed(
      `The WebAssembly module is version ${String(version)}, but this package is version ${VERSION}. ` +
        "Serve the whop-license.wasm of the installed package, and look for a stale copy or cache.",
    );
  }

  const call = async (...args: unknown[]): Promise<Answer> => {
    if (stopped) throw hasStopped(stopped);
    let reject: (reason: unknown) => void = () => {};
    try {
      return await new Promise<Answer>((resolve, rejected) => {
        reject = rejected;
        inFlight.add(reject);
        Reflect.apply(validate, undefined, args).then(resolve, reject);
      });
    } catch (thrown) {
      throw stopped ? hasStopped(stopped) : typed(thrown);
    } finally {
      inFlight.delete(reject);
    }
  };
  return {
    validate: call,
    leaseName: (licenseKey, hwid) => {
      const leaseName = Reflect.get(validate, "leaseName");
      const name: unknown = Reflect.apply(leaseName, undefined, [licenseKey, hwid]);
      return typeof name === "string" ? name : undefined;
    },
    hasPublicKey: Reflect.get(validate, "hasPublicKey") === true,
    version,
  };
}

function hasStopped(details: { cause?: unknown }): LicenseError {
  return loadFailed(
    `The license module has stopped, which says nothing about the license. Load it again. ${SAID}`,
    { ...details, retryable: true },
  );
}

/** The module's own errors, as instances of this package's class. */
function typed(thrown: unknown): LicenseError {
  if (thrown instanceof Error && thrown.name === "LicenseError") {
    const { code, message } = thrown as LicenseError;
    return new LicenseError(code, message, thrown);
  }
  return loadFailed("The license module failed inside. Please report this.", { cause: thrown });
}

// What the module and Go's support code look up by name. They are read from the
// real global object whenever they are asked for, so that a fetch which is
// replaced later counts, and from there, as a browser's refuse another `this`.
const LOOKED_UP = [
  ...["Object", "Array", "String", "Reflect", "Promise", "Error", "Uint8Array", "JSON", "Date"],
  ...["Math", "fetch", "AbortController", "setTimeout", "clearTimeout", "window", "document"],
  ...["WorkerGlobalScope", "URL", "crypto", "performance", "TextEncoder", "TextDecoder"],
];

/** An object that stands in for the global one, so that nothing the Go program sets is seen outside. */
function shadowGlobal(crypto?: object): object {
  if (!crypto && !globalThis.crypto) {
    throw loadFailed(
      "There is no `crypto` here, which the license check needs. Update the browser or runtime.",
    );
  }
  const scope = Object.create(null);
  for (const name of LOOKED_UP) {
    const standIn = name === "crypto" ? crypto : undefined;
    Object.defineProperty(scope, name, { get: () => Reflect.get(globalThis, name) ?? standIn });
  }
  return scope;
}

/** Shows the Go runtime's last words, when it panics, where they can't be mistaken for a program's output. */
function toConsole(): (fd: number, bytes: Uint8Array) => number {
  const decoder = new TextDecoder();
  let text = "";
  return (_fd, bytes) => {
    text += decoder.decode(bytes, { stream: true });
    const end = text.lastIndexOf("\n");
    if (end >= 0) {
      console.error(text.slice(0, end));
      text = text.slice(end + 1);
    }
    return bytes.length;
  };
}
