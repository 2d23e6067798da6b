/** whop-license for Electron's main process, as an ES module. */
import * as electron from "electron";
import { sidecarFactory } from "../sidecar/client.js";
import { packageFiles } from "./files.js";
import { hostFactory, type LicenseHost, type LicenseHostOptions } from "./host.js";

export * from "./exports.js";

const files = packageFiles(electron.app, import.meta.url, "../../..");

/** The preload's file, for a window's `webPreferences: { preload: preloadPath }`. */
export const preloadPath: string = files.preload;

/**
 * Serves the app's own pages with the machine's id, the module and the leases,
 * or with verdicts. Nothing is read or started before a page asks. There can be
 * one host in an app.
 *
 * It throws a `LicenseError` `invalid_argument` that names the option.
 */
export const registerLicenseHost: (options: LicenseHostOptions) => LicenseHost = hostFactory(
  electron,
  { ...files, createSidecar: sidecarFactory(files.resolve) },
);
