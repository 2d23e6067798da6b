// @ts-check
import {
  licenseStore,
  loadElectronValidator,
} from "../node_modules/whop-license/dist/electron/renderer.js";
import { WhopLicenseGate } from "../node_modules/whop-license/dist/element/index.js";
import { audience, endpoint, publicKey } from "./config.js";

const gate = document.querySelector("whop-license-gate");
if (!(gate instanceof WhopLicenseGate)) throw new Error("the page has no gate");

// The license key is kept where the leases are: by the main process, encrypted.
gate.store = licenseStore;
gate.validator = () =>
  loadElectronValidator({
    endpoint,
    publicKey,
    audience,
    // Answers at once from the last lease, and asks the server once half of its 24 h is over.
    revalidateAfterMs: 12 * 60 * 60 * 1000,
    onChange: (verdict) => gate.receive(verdict),
  });

document.querySelector("#forget")?.addEventListener("click", () => gate.forget());
