/** whop-license for Node, and so for Electron's main process, as an ES module. */
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { LoadValidator } from "./api.js";
import { createLoader } from "./load.js";

export * from "./api.js";

/** Loads and starts the WebAssembly module; see {@link LoadValidator}. */
export const loadValidator: LoadValidator = /* @__PURE__ */ createLoader({
  defaultWasm: () => new URL("./whop-license.wasm", import.meta.url),
  readFile,
  crypto: webcrypto,
});
