import { webcrypto } from "node:crypto";
import { readDeadline, reducedTimeout, within } from "../abort.js";
import type { LicenseError } from "../errors.js";
import type { LeaseStore } from "../leases/store.js";
import { createLoader } from "../load.js";
import type { MachineId } from "../sidecar/types.js";
import type {
  InvalidVerdict,
  LoadOptions,
  LoadValidator,
  ValidateOptions,
  Validator,
  Verdict,
} from "../types.js";
import type { Fetch } from "./net-fetch.js";

/** The options of a validator in the main process. */
export type MainValidatorSettings = Omit<LoadOptions, "wasm" | "leases" | "signal" | "onChange">;

/** What the validator needs from its host. Each member is used only when it is needed. */
export interface MainValidatorParts {
  wasm: () => Promise<Uint8Array>;
  machineId: () => Promise<MachineId>;
  store: LeaseStore;
  /** Makes the requests. */
  fetch: Fetch;
  /** Called with each verdict that a caller waits for. */
  tell: (verdict: Verdict) => void;
  /** Called with each refusal in the background. */
  tellLater: (verdict: InvalidVerdict) => void;
}

/** Checks license keys on this machine, in the main process. The module is loaded at the first check. */
export class MainValidator {
  readonly #settings: MainValidatorSettings;
  readonly #parts: MainValidatorParts;
  readonly #load: LoadValidator;
  #loading: Promise<Validator> | undefined;

  constructor(settings: MainValidatorSettings, parts: MainValidatorParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#load = createLoader({
      defaultWasm: () => {
        throw new Error("the module is given as bytes");
      },
      crypto: webcrypto,
      fetch: parts.fetch,
      defaultStore: parts.store,
    });
  }

  /** Checks a license key, which may be anything. */
  async validateLicense(licenseKey: unknown, options: ValidateOptions): Promise<Verdict> {
    const deadline = readDeadline(options);
    const loading = this.#loaded();
    const needed = Promise.all([loading, this.#parts.machineId()]);
    const [{ validateLicense }, { id }] = await within(needed, deadline);
    const timeoutMs = reducedTimeout(deadline);
    const asked = timeoutMs === undefined ? options : { ...options, timeoutMs };
    let verdict: Verdict;
    try {
      verdict = await validateLicense(licenseKey as string, id, asked);
    } catch (thrown) {
      // A module that has stopped must be loaded again.
      if ((thrown as LicenseError).code === "load_failed") this.#forget(loading);
      throw thrown;
    }
    this.#parts.tell(verdict);
    return verdict;
  }

  #loaded(): Promise<Validator> {
    if (this.#loading) return this.#loading;
    const loading = this.#start();
    this.#loading = loading;
    loading.catch(() => this.#forget(loading));
    return loading;
  }

  async #start(): Promise<Validator> {
    const { wasm, tellLater } = this.#parts;
    const revalidates = this.#settings.revalidateAfterMs !== undefined;
    return this.#load({
      ...this.#settings,
      wasm: await wasm(),
      ...(revalidates && { onChange: tellLater }),
    });
  }

  #forget(loading: Promise<Validator>): void {
    if (this.#loading === loading) this.#loading = undefined;
  }
}
