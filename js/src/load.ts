import { compile, type ReadFile, readSource, type WasmSource } from "./compile.js";
import { invalid, loadFailed } from "./errors.js";
import { aborted, readOptions, readSignal, untilAborted } from "./options.js";
import { start, type Validator } from "./program.js";

export interface LoadOptions {
  /**
   * The base URL of the server that answers `validate_license`, normally a
   * licence gateway: https, or http on a loopback address.
   */
  endpoint: string;
  /**
   * Where the WebAssembly module comes from. Default: the package's own
   * `whop-license.wasm`, which bundlers carry along.
   */
  wasm?: WasmSource | undefined;
  /** Stops waiting; the call then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads and starts the WebAssembly module. Calls with the same `wasm` and
 * `endpoint` share one load and one validator; a load that failed is forgotten.
 *
 * It rejects with a {@link LicenseError}: `load_failed` where the module can't
 * be had or started, `invalid_argument`, or `aborted`.
 */
export type LoadValidator = (options: LoadOptions) => Promise<Validator>;

interface Loaded {
  module: Promise<WebAssembly.Module>;
  validators: Map<string, Promise<Validator>>;
}

const OPTIONS = ["endpoint", "wasm", "signal", "publicKey", "leases"] as const;

// The support code copies the endpoint into a page of 8 KiB at start.
const MAX_ENDPOINT_LENGTH = 2048;

/**
 * Makes an entry point's loadValidator from what differs between them: where
 * the module is by default, and how a file is read, if it can be.
 */
export function createLoader(defaultWasm: () => URL, readFile?: ReadFile): LoadValidator {
  const byAddress = new Map<unknown, Loaded>();
  const byObject = new WeakMap<object, Loaded>();

  function moduleOf(wasm: unknown): Loaded {
    const source = readSource(wasm);
    const cache = typeof source.key === "string" ? byAddress : byObject;
    const known = cache.get(source.key as object);
    if (known) return known;
    const loaded = { module: compile(source, readFile), validators: new Map() };
    cache.set(source.key as object, loaded);
    loaded.module.catch(() => cache.delete(source.key as object));
    return loaded;
  }

  function validatorOf({ module, validators }: Loaded, endpoint: string): Promise<Validator> {
    const known = validators.get(endpoint);
    if (known) return known;
    const forget = () => validators.delete(endpoint);
    const validator = module.then((compiled) => start(compiled, endpoint, forget));
    validators.set(endpoint, validator);
    validator.catch(forget);
    return validator;
  }

  return async (options) => {
    const { endpoint, wasm, signal, publicKey, leases } = readOptions(options, OPTIONS);
    if (publicKey !== undefined) throw invalid("publicKey", "is not supported by this version");
    if (leases !== undefined) throw invalid("leases", "is not supported by this version");
    if (typeof endpoint !== "string") {
      throw invalid("endpoint", "must be a string, the URL of your licence gateway");
    }
    if (endpoint.length > MAX_ENDPOINT_LENGTH) throw invalid("endpoint", "is too long");
    if (endpoint.includes("\0")) throw invalid("endpoint", "is not a URL");
    const abort = readSignal(signal);
    if (abort?.aborted) throw aborted(abort);
    const loaded = moduleOf(wasm === undefined ? located(defaultWasm) : wasm);
    return untilAborted(validatorOf(loaded, endpoint), abort);
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
