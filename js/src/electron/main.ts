/** whop-license for Electron's main process, as an ES module. */
import * as electron from "electron";
import { sidecarFactory } from "../sidecar/client.js";
import { packageFiles } from "./files.js";
import { hostFactory, type LicenseHost, type LicenseHostOptions } from "./host.js";

export * from "./exports.js";

const files = packageFiles(electron.app, import.meta.url, "../../..");

/** The path of the preload file, for a window's `webPreferences: { preload: preloadPath }`. */
export const preloadPath: string = files.preload;

/**
 * Gives the app's own pages the machine id, the module and the leases, or verdicts.
 * It reads and starts nothing until a page asks. An app can have one host.
 *
 * It throws a `LicenseError`: `invalid_argument` for a wrong option, which it names,
 * or for a second host, and `load_failed` outside of Electron's main process.
 */
export const registerLicenseHost: (options: LicenseHostOptions) => LicenseHost = hostFactory(
  electron,
  { ...files, createSidecar: sidecarFactory(files.resolve) },
);
