/** This machine's id, from the native sidecar, for Node and Electron's main process, as an ES module. */
import { createRequire } from "node:module";
import { sidecarFactory } from "./client.js";
import type { Sidecar, SidecarOptions } from "./types.js";

export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type * from "./types.js";

/** Makes a sidecar of your own. It is started by its first call. */
export const createSidecar: (options?: SidecarOptions) => Sidecar = /* @__PURE__ */ sidecarFactory(
  (name) => createRequire(import.meta.url).resolve(name),
);

const shared = /* @__PURE__ */ createSidecar();

/** Reads this machine's id through one sidecar for the whole process; see {@link Sidecar.machineId}. */
export const machineId: Sidecar["machineId"] = (options) => shared.machineId(options);
