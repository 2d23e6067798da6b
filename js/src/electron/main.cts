/** whop-license for Electron's main process, as CommonJS. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import electron = require("electron");

import { createSidecar } from "../sidecar/index.cjs";
import { hostFactory, type LicenseHost, type LicenseHostOptions } from "./host.js";

export * from "./exports.js";

/** The preload's file, for a window's `webPreferences: { preload: preloadPath }`. */
export const preloadPath: string = join(__dirname, "preload.cjs");

/**
 * Serves the app's own pages with the machine's id, the module and the leases,
 * or with verdicts. Nothing is read or started before a page asks. There can be
 * one host in an app.
 *
 * It throws a `LicenseError` `invalid_argument` that names the option.
 */
export const registerLicenseHost: (options: LicenseHostOptions) => LicenseHost = hostFactory(
  electron,
  {
    wasm: () => pathToFileURL(join(__dirname, "../../whop-license.wasm")),
    createSidecar,
  },
);
