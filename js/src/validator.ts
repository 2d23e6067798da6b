import type { ValidateLicense, Validator } from "./types.js";
import { VERSION } from "./version.js";
import type { RunningModule } from "./wasm/module.js";

/** A validator that keeps no leases: the module alone answers. */
export function plainValidator(module: RunningModule): Validator {
  return validator((licenseKey, hwid, options) => module.validate(licenseKey, hwid, options));
}

/** What `loadValidator` resolves to. */
export function validator(validateLicense: ValidateLicense): Validator {
  return Object.freeze({ validateLicense, version: VERSION });
}
