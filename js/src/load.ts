import type { LoadValidator } from "./api.js";
import { invalid, loadFailed } from "./errors.js";
import { LeaseKeeper } from "./leases/keeper.js";
import { readSettings, SETTINGS, type Settings } from "./leases/options.js";
import { type LeaseStore, memoryStore } from "./leases/store.js";
import { makeValidator } from "./leases/validator.js";
import { aborted, readOptions, readSignal, untilAborted } from "./options.js";
import type { Validator } from "./types.js";
import { type Program, start } from "./wasm/module.js";
import { compile, type ReadFile, readSource } from "./wasm/source.js";

interface Loaded {
  module: Promise<WebAssembly.Module>;
  programs: Map<string, Promise<Running>>;
}

/** A program with what is shared by all who use it. */
interface Running {
  program: Program;
  store: LeaseStore;
  validators: Map<string, Promise<Validator>>;
}

const OPTIONS = ["endpoint", "wasm", "signal", ...SETTINGS] as const;

// The support code copies the endpoint into a page of 8 KiB at start.
const MAX_ENDPOINT_LENGTH = 2048;

/** What differs between the entry points. */
export interface Surroundings {
  /** Where the module is by default. */
  defaultWasm: () => URL;
  readFile?: ReadFile;
  /** Stands in for the global `crypto`, which Node 18 doesn't have. */
  crypto?: object;
  /** Where leases are kept by default, if not in memory. */
  defaultStore?: LeaseStore;
}

/** Makes an entry point's loadValidator. */
export function createLoader({
  defaultWasm,
  readFile,
  crypto,
  defaultStore,
}: Surroundings): LoadValidator {
  const byAddress = new Map<unknown, Loaded>();
  const byObject = new WeakMap<object, Loaded>();
  const keepers = new WeakMap<LeaseStore, LeaseKeeper>();

  function moduleOf(wasm: unknown): Loaded {
    const source = readSource(wasm);
    const cache = typeof source.key === "string" ? byAddress : byObject;
    const known = cache.get(source.key as object);
    if (known) return known;
    const loaded = { module: compile(source, readFile), programs: new Map() };
    cache.set(source.key as object, loaded);
    loaded.module.catch(() => cache.delete(source.key as object));
    return loaded;
  }

  function programOf({ module, programs }: Loaded, endpoint: string): Promise<Running> {
    const known = programs.get(endpoint);
    if (known) return known;
    const forget = () => programs.delete(endpoint);
    const running = module.then(async (compiled) => ({
      program: await start(compiled, endpoint, forget, crypto),
      store: defaultStore ?? memoryStore(),
      validators: new Map(),
    }));
    programs.set(endpoint, running);
    running.catch(forget);
    return running;
  }

  async function validatorOf(started: Promise<Running>, settings: Settings): Promise<Validator> {
    const { program, store, validators } = await started;
    const { id } = settings;
    const known = id === undefined ? undefined : validators.get(id);
    if (known) return known;
    const validator = makeValidator(program, settings, keeperOf(settings.store ?? store));
    if (id !== undefined) {
      validators.set(id, validator);
      validator.catch(() => validators.delete(id));
    }
    return validator;
  }

  function keeperOf(store: LeaseStore): LeaseKeeper {
    const known = keepers.get(store);
    if (known) return known;
    const keeper = new LeaseKeeper(store);
    keepers.set(store, keeper);
    return keeper;
  }

  return async (options) => {
    const { endpoint, wasm, signal, ...given } = readOptions(options, OPTIONS);
    if (typeof endpoint !== "string") {
      throw invalid("endpoint", "must be a string, the URL of your license gateway");
    }
    if (endpoint.length > MAX_ENDPOINT_LENGTH) throw invalid("endpoint", "is too long");
    if (endpoint.includes("\0")) throw invalid("endpoint", "is not a URL");
    const settings = readSettings(given);
    const abort = readSignal(signal);
    if (abort?.aborted) throw aborted(abort);
    const loaded = moduleOf(wasm === undefined ? located(defaultWasm) : wasm);
    return untilAborted(validatorOf(programOf(loaded, endpoint), settings), abort);
  };
}

function located(defaultWasm: () => URL): URL {
  try {
    return defaultWasm();
  } catch (cause) {
    throw loadFailed(
      "The place of whop-license.wasm is not known here. Give its URL in the `wasm` option.",
      { cause },
    );
  }
}
