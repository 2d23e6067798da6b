/** whop-license for Node, and so for Electron's main process, as CommonJS. */
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { LoadValidator } from "./api.js";
import { createLoader } from "./load.js";

export * from "./api.js";

/** Loads and starts the WebAssembly module; see {@link LoadValidator}. */
export const loadValidator: LoadValidator = createLoader({
  defaultWasm: () => new URL("../whop-license.wasm", pathToFileURL(__filename)),
  readFile,
  crypto: webcrypto,
});
