import { loadValidator } from "whop-license";
import "whop-license/element";

const { content: endpoint } = document.querySelector('meta[name="whop-license-endpoint"]');
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.addEventListener("message", ({ data }) => {
  document.querySelector("#worker").textContent = data;
});

const gate = document.querySelector("whop-license-gate");
// What the license is bound to. A page can't know the machine, so this is the browser.
gate.machineId = () => {
  localStorage.browserId ??= crypto.randomUUID();
  return localStorage.browserId;
};
gate.validator = {
  async validateLicense(licenseKey, hwid, options) {
    const { validateLicense } = await loadValidator({ endpoint });
    const verdict = await validateLicense(licenseKey, hwid, options);
    if (verdict.valid) worker.postMessage({ endpoint, licenseKey, hwid });
    return verdict;
  },
};
