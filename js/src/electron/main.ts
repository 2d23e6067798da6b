/** whop-license for Electron's main process, as an ES module. */
import { fileURLToPath } from "node:url";
import * as electron from "electron";
import { createSidecar } from "../sidecar/index.js";
import { hostFactory, type LicenseHost, type LicenseHostOptions } from "./host.js";

export * from "./exports.js";

/** The preload's file, for a window's `webPreferences: { preload: preloadPath }`. */
export const preloadPath: string = /* @__PURE__ */ fileURLToPath(
  new URL("../cjs/electron/preload.cjs", import.meta.url),
);

/**
 * Serves the app's own pages with the machine's id, the module and the leases,
 * or with verdicts. Nothing is read or started before a page asks. There can be
 * one host in an app.
 *
 * It throws a `LicenseError` `invalid_argument` that names the option.
 */
export const registerLicenseHost: (options: LicenseHostOptions) => LicenseHost =
  /* @__PURE__ */ hostFactory(electron, {
    wasm: () => new URL("../whop-license.wasm", import.meta.url),
    createSidecar,
  });
