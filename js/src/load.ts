import { aborted, readSignal, untilAborted } from "./abort.js";
import { invalid, loadFailed } from "./errors.js";
import { LeaseKeeper } from "./leases/keeper.js";
import { LEASE_OPTIONS, type LeaseSettings, readLeaseOptions } from "./leases/options.js";
import { type LeaseStore, memoryStore } from "./leases/store.js";
import { leasingValidator } from "./leases/validator.js";
import { readOptions } from "./options.js";
import type { LoadValidator, Validator } from "./types.js";
import { plainValidator } from "./validator.js";
import { RunningModule } from "./wasm/module.js";
import { compile, type ReadFile, readSource } from "./wasm/source.js";

/** A compiled module, and its running instances by endpoint. */
interface Compiled {
  module: Promise<WebAssembly.Module>;
  running: Map<string, Promise<Running>>;
}

/** A running module, with what all its users share. */
interface Running {
  module: RunningModule;
  store: LeaseStore;
  validators: Map<string, Promise<Validator>>;
}

const OPTIONS = ["endpoint", "wasm", "signal", ...LEASE_OPTIONS] as const;

// Go's support code copies the endpoint into a page of 8 KiB at start.
const MAX_ENDPOINT_LENGTH = 2048;

/** What differs between the entry points. */
export interface Surroundings {
  /** Where the module is by default. */
  defaultWasm: () => URL;
  readFile?: ReadFile;
  /** Used in place of the global `crypto`, which Node 18 doesn't have. */
  crypto?: object;
  /** Used in place of the global `fetch`. */
  fetch?: object | undefined;
  /** These two are used in place of the global ones, which Jest's jsdom doesn't have. */
  TextDecoder?: object;
  TextEncoder?: object;
  /** Where leases are kept by default, if not in memory. */
  defaultStore?: LeaseStore;
}

/** Makes an entry point's loadValidator. */
export function createLoader(surroundings: Surroundings): LoadValidator {
  const loader = new Loader(surroundings);
  return (options) => loader.load(options);
}

/** Loads validators, and remembers them, so that loads with the same options share one. */
class Loader {
  readonly #surroundings: Surroundings;
  readonly #byAddress = new Map<unknown, Compiled>();
  readonly #byObject = new WeakMap<object, Compiled>();
  readonly #keepers = new WeakMap<LeaseStore, LeaseKeeper>();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  async load(options: unknown): Promise<Validator> {
    const { endpoint, wasm, signal, ...given } = readOptions(options, OPTIONS);
    if (typeof endpoint !== "string") {
      throw invalid("endpoint", "must be a string, the URL of your license gateway");
    }
    if (endpoint.length > MAX_ENDPOINT_LENGTH) {
      throw invalid("endpoint", `is longer than ${MAX_ENDPOINT_LENGTH} characters`);
    }
    if (endpoint.includes("\0")) throw invalid("endpoint", "is not a URL");
    const settings = readLeaseOptions(given);
    const abort = readSignal(signal);
    if (abort?.aborted) throw aborted(abort);
    const compiled = this.#compiled(wasm === undefined ? this.#defaultWasm() : wasm);
    return untilAborted(this.#validator(this.#running(compiled, endpoint), settings), abort);
  }

  #defaultWasm(): URL {
    try {
      return this.#surroundings.defaultWasm();
    } catch (cause) {
      throw loadFailed(
        "whop-license.wasm can't be located here. Give its URL in the `wasm` option.",
        { cause },
      );
    }
  }

  #compiled(wasm: unknown): Compiled {
    const source = readSource(wasm);
    const cache = typeof source.key === "string" ? this.#byAddress : this.#byObject;
    const known = cache.get(source.key as object);
    if (known) return known;
    const compiled = { module: compile(source, this.#surroundings.readFile), running: new Map() };
    cache.set(source.key as object, compiled);
    compiled.module.catch(() => cache.delete(source.key as object));
    return compiled;
  }

  #running({ module, running }: Compiled, endpoint: string): Promise<Running> {
    const known = running.get(endpoint);
    if (known) return known;
    const { defaultStore, ...standIns } = this.#surroundings;
    const forget = () => running.delete(endpoint);
    const started = module.then(async (compiled) => ({
      module: await RunningModule.start(compiled, endpoint, forget, standIns),
      store: defaultStore ?? memoryStore(),
      validators: new Map(),
    }));
    running.set(endpoint, started);
    started.catch(forget);
    return started;
  }

  async #validator(started: Promise<Running>, settings: LeaseSettings): Promise<Validator> {
    const { module, store, validators } = await started;
    const { id } = settings;
    const known = id === undefined ? undefined : validators.get(id);
    if (known) return known;
    const validator = makeValidator(module, settings, this.#keeper(settings.store ?? store));
    if (id !== undefined) {
      validators.set(id, validator);
      validator.catch(() => validators.delete(id));
    }
    return validator;
  }

  #keeper(store: LeaseStore): LeaseKeeper {
    const known = this.#keepers.get(store);
    if (known) return known;
    const keeper = new LeaseKeeper(store);
    this.#keepers.set(store, keeper);
    return keeper;
  }
}

/** Makes a validator, or rejects with an `invalid_argument` if the module refuses a setting. */
async function makeValidator(
  module: RunningModule,
  settings: LeaseSettings,
  keeper: LeaseKeeper,
): Promise<Validator> {
  const { trust, needsKey } = settings;
  if (Object.values(trust).some((value) => value !== undefined)) module.verifySettings(trust);
  if (module.hasPublicKey || trust.publicKey !== undefined) {
    return leasingValidator(module, keeper, settings);
  }
  if (needsKey) throw invalid(needsKey, "needs a publicKey: without one there are no leases");
  return plainValidator(module);
}
