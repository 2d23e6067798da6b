// What both sidecar entry points export beside their own functions.
export { LicenseError, type LicenseErrorCode } from "../errors.js";
export type {
  MachineId,
  MachineIdOptions,
  MachineIdScheme,
  Sidecar,
  SidecarOptions,
} from "./client.js";
