/** whop-license for an Electron renderer. Its window needs the preload, and its main process needs the host. */
import { aborted, readSignal, untilAborted } from "../abort.js";
import { invalid, type LicenseError, loadFailed, textOf } from "../errors.js";
import { refuseUndefinedKey } from "../leases/options.js";
import { createLoader } from "../load.js";
import { readOptions } from "../options.js";
import type { MachineId } from "../sidecar/types.js";
import type { InvalidVerdict, LeaseStore, LoadOptions, Validator } from "../types.js";
import { VERSION } from "../version.js";
import { type Bridge, PROTOCOL, type Reply, unwrap } from "./ipc.js";

export { LicenseError, type LicenseErrorCode, type LicenseErrorDetails } from "../errors.js";
export type { MachineId, MachineIdScheme } from "../sidecar/types.js";
export type * from "../types.js";

/** The options of `loadValidator`, without those that the main process provides. */
export type ElectronLoadOptions = Omit<LoadOptions, "wasm" | "leases">;

/** A validator that fills in the machine id, so `validateLicense(licenseKey)` is enough. */
export interface ElectronValidator extends Validator {
  /** This machine's id. It is sent unless a call passes another. */
  readonly machineId: MachineId;
}

/**
 * The store of the main process, which also holds the leases. It is encrypted if the
 * system supports that. Set `gate.store = licenseStore` to remember a gate's license
 * key in it. Its functions reject with a `LicenseError`.
 */
export const licenseStore: LeaseStore = {
  get: async (name) => answer(findBridge().get(name)),
  set: async (name, text) => answer(findBridge().set(name, text)),
  remove: async (name) => answer(findBridge().remove(name)),
};

/**
 * Loads the module into this page, and gets the machine id, the module's bytes and the
 * stored leases from the main process. The page then decides; with
 * {@link loadMainValidator}, the main process does. Calls share what they load, like
 * those of `loadValidator`.
 *
 * It rejects with a `LicenseError`: `load_failed` if the preload, the host or the
 * module is missing or refuses this page, `no_machine_id`, `invalid_argument`, or
 * `aborted`.
 */
export const loadElectronValidator: (options: ElectronLoadOptions) => Promise<ElectronValidator> =
  /* @__PURE__ */ electronLoader();

export interface MainValidatorOptions {
  /** Called when the server refuses in the background, after `validateLicense` has answered from a lease. */
  onChange?: ((verdict: InvalidVerdict) => void) | undefined;
}

/**
 * Makes a validator whose answers all come from the main process, which needs the
 * option `validator` of `registerLicenseHost`. The main process fills in the machine
 * id; a call that passes one is an `invalid_argument`. A call's options may be
 * `signal` and `timeoutMs`.
 *
 * It rejects with a `LicenseError`: `load_failed` if the preload is missing or refuses
 * this page, or `invalid_argument`.
 */
export async function loadMainValidator(options?: MainValidatorOptions): Promise<Validator> {
  const { onChange } = readOptions(options, ["onChange"]);
  if (onChange !== undefined && typeof onChange !== "function") {
    throw invalid("onChange", "must be a function");
  }
  const bridge = findBridge();
  if (onChange) bridge.onChange(onChange as (verdict: InvalidVerdict) => void);
  return Object.freeze({ validateLicense: askMain(bridge), version: VERSION });
}

const OPTIONS = [
  ...(["endpoint", "publicKey", "issuer", "audience"] as const),
  ...(["revalidateAfterMs", "onChange", "signal"] as const),
] as const;

function electronLoader(): (options: ElectronLoadOptions) => Promise<ElectronValidator> {
  const load = createLoader({
    defaultWasm: () => {
      throw new Error("the module comes from the main process");
    },
    defaultStore: licenseStore,
  });
  let given: Promise<[Uint8Array, MachineId]> | undefined;

  function askHost(): Promise<[Uint8Array, MachineId]> {
    if (given) return given;
    const bridge = findBridge();
    const asked = Promise.all([answer(bridge.wasm()), answer(bridge.machineId())]);
    given = asked;
    asked.catch(() => {
      given = undefined;
    });
    return asked;
  }

  return async (options) => {
    const read = readOptions(options, OPTIONS);
    refuseUndefinedKey(read);
    const signal = readSignal(read.signal);
    if (signal?.aborted) throw aborted(signal);
    const [wasm, machineId] = await untilAborted(askHost(), signal);
    const { validateLicense, version } = await load({ ...(read as LoadOptions), wasm });
    return Object.freeze<ElectronValidator>({
      validateLicense: (licenseKey, hwid = machineId.id, asked) =>
        validateLicense(licenseKey, hwid, asked),
      machineId,
      version,
    });
  };
}

function askMain(bridge: Bridge): Validator["validateLicense"] {
  // Numbers distinguish the checks of one page, even after a reload.
  let lastCall = Math.floor(Math.random() * 2 ** 40);
  return async (licenseKey, hwid, options) => {
    if (hwid !== undefined) {
      throw invalid("hwid", "must be left out, because the main process fills it in");
    }
    const { signal, timeoutMs } = readOptions(options, ["signal", "timeoutMs"]);
    const abort = readSignal(signal);
    if (abort?.aborted) throw aborted(abort);
    const call = ++lastCall;
    const stop = () => void answer(bridge.abort(call)).catch(() => {});
    abort?.addEventListener("abort", stop, { once: true });
    try {
      return await untilAborted(answer(send(bridge, call, licenseKey, timeoutMs)), abort);
    } finally {
      abort?.removeEventListener("abort", stop);
    }
  };
}

/** Sends a check. Throws if the bridge couldn't copy its arguments, which may be anything. */
async function send(bridge: Bridge, call: number, licenseKey: unknown, timeoutMs: unknown) {
  for (const [name, value] of Object.entries({ licenseKey, timeoutMs })) {
    if (typeof value === "symbol" || typeof value === "function" || typeof value === "object") {
      throw invalid(name, name === "licenseKey" ? "must be a string" : "must be a number");
    }
  }
  return bridge.validate(call, licenseKey, timeoutMs);
}

function findBridge(): Bridge {
  const bridge = globalThis.whopLicense;
  if (typeof bridge !== "object" || bridge === null) {
    throw loadFailed(
      "The preload of whop-license has not run in this page. Give the window `webPreferences: { preload: preloadPath }` " +
        "with preloadPath from whop-license/electron/main, or import whop-license/electron/preload in your own preload " +
        "and have your bundler include it, because a sandboxed preload can't load packages.",
    );
  }
  if (bridge.protocol !== PROTOCOL) {
    throw loadFailed(
      "The preload of whop-license and this page's code have different versions. Rebuild the app.",
    );
  }
  if ("refused" in bridge) throw loadFailed(bridge.refused);
  return bridge;
}

/** The host's answer. If there is no host, Electron rejects with an error of its own. */
async function answer<Value>(asked: Promise<Reply<Value>>): Promise<Value> {
  let reply: Reply<Value>;
  try {
    reply = await asked;
  } catch (cause) {
    throw noHost(cause);
  }
  return unwrap(reply);
}

function noHost(cause: unknown): LicenseError {
  if (cause instanceof Error && cause.name === "LicenseError") return cause as LicenseError;
  return loadFailed(
    `The main process does not answer: ${textOf(cause)}. Call registerLicenseHost of whop-license/electron/main in it.`,
    { cause },
  );
}
