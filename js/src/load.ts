import type { LoadValidator } from "./api.js";
import { compile, type ReadFile, readSource } from "./compile.js";
import { invalid, loadFailed } from "./errors.js";
import { aborted, readOptions, readSignal, untilAborted } from "./options.js";
import { start } from "./program.js";
import type { Validator } from "./verdict.js";

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
