/** This machine's id, from the native sidecar, for Node and Electron's main process, as an ES module. */
import { createRequire } from "node:module";
import { sidecarFactory } from "./client.js";
import type { Sidecar, SidecarOptions } from "./types.js";

export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type * from "./types.js";

/** Makes a sidecar of your own. Its first call starts the program. Throws a {@link LicenseError} `invalid_argument` for a wrong option. */
export const createSidecar: (options?: SidecarOptions) => Sidecar = /* @__PURE__ */ sidecarFactory(
  (name) => createRequire(import.meta.url).resolve(name),
);

const shared = /* @__PURE__ */ createSidecar();

/** Reads this machine's id with one sidecar that the whole process shares; see {@link Sidecar.machineId}. */
export const machineId: Sidecar["machineId"] = (options) => shared.machineId(options);
