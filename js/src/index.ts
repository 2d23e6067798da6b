/** whop-license for pages, workers, Electron renderers and bundlers. */
import { createLoader, type LoadValidator } from "./load.js";

export * from "./api.js";

/** Loads and starts the WebAssembly module; see {@link LoadValidator}. */
export const loadValidator: LoadValidator = /* @__PURE__ */ createLoader(
  () => new URL("./whop-license.wasm", import.meta.url),
);
