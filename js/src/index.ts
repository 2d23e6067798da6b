/** whop-license for pages, workers, Electron renderers and bundlers. */
import type { LoadValidator } from "./api.js";
import { createLoader } from "./load.js";

export * from "./api.js";

/** Loads and starts the WebAssembly module; see {@link LoadValidator}. */
export const loadValidator: LoadValidator = /* @__PURE__ */ createLoader({
  defaultWasm: () => new URL("./whop-license.wasm", import.meta.url),
});
