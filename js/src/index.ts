/** whop-license for pages, workers, Electron renderers and bundlers. */
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
export const loadValidator: LoadValidator = /* @__PURE__ */ createLoader({
  defaultWasm: () => new URL("./whop-license.wasm", import.meta.url),
});
