import { webcrypto } from "node:crypto";
import { readLimits, remaining, within } from "../abort.js";
import type { LoadOptions } from "../api.js";
import type { LicenseError } from "../errors.js";
import type { LeaseStore } from "../leases/store.js";
import { createLoader } from "../load.js";
import type { MachineId } from "../sidecar/client.js";
import type { ValidateOptions, Validator, Verdict } from "../types.js";

/** The options of a validator in the main process. */
export type DeciderOptions = Omit<LoadOptions, "wasm" | "leases" | "signal" | "onChange">;

/** What a decider needs, each asked for when it is used. */
export interface DeciderParts {
  wasm: () => Promise<Uint8Array>;
  machineId: () => Promise<MachineId>;
  store: LeaseStore;
  /** Told each verdict; `later` where nobody waits for it, as it came in the background. */
  tell: (verdict: Verdict, later: boolean) => void;
}

/** Asks about a license key on this machine; the key may be anything. */
export type Decide = (licenseKey: unknown, options: ValidateOptions) => Promise<Verdict>;

/** Makes a validator for the main process, which is loaded when it is first asked. */
export function createDecider(
  options: DeciderOptions,
  { wasm, machineId, store, tell }: DeciderParts,
): Decide {
  const load = createLoader({
    defaultWasm: () => {
      throw new Error("the module is given as bytes");
    },
    crypto: webcrypto,
    defaultStore: store,
  });
  const revalidates = options.revalidateAfterMs !== undefined;
  let loading: Promise<Validator> | undefined;

  function loaded(): Promise<Validator> {
    if (loading) return loading;
    const started = wasm().then((bytes) =>
      load({
        ...options,
        wasm: bytes,
        ...(revalidates && { onChange: (verdict) => tell(verdict, true) }),
      }),
    );
    loading = started;
    started.catch(() => forget(started));
    return started;
  }

  function forget(started: Promise<Validator>): void {
    if (loading === started) loading = undefined;
  }

  return async (licenseKey, asked) => {
    const limits = readLimits(asked);
    const started = loaded();
    const needed = Promise.all([started, machineId()]);
    const [{ validateLicense }, { id }] = await within(needed, limits);
    let verdict: Verdict;
    try {
      verdict = await validateLicense(licenseKey as string, id, remaining(asked, limits));
    } catch (thrown) {
      // A module that has stopped must be loaded again.
      if ((thrown as LicenseError).code === "load_failed") forget(started);
      throw thrown;
    }
    tell(verdict, false);
    return verdict;
  };
}
