/** whop-license for Node, and so for Electron's main process, as CommonJS. */
import { webcrypto } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { TextDecoder, TextEncoder } from "node:util";
import { createLoader } from "./load.js";
import type { LoadValidator } from "./types.js";

export {
  LicenseError,
  type LicenseErrorCode,
  type LicenseErrorDetails,
  type LicenseErrorReason,
} from "./errors.js";
export type * from "./types.js";

/** Loads and starts the WebAssembly module; see {@link LoadValidator}. */
export const loadValidator: LoadValidator = createLoader({
  defaultWasm: () => new URL("../whop-license.wasm", pathToFileURL(__filename)),
  readFile,
  crypto: webcrypto,
  TextDecoder,
  TextEncoder,
});
