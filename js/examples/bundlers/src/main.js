import { loadValidator } from "whop-license";
import "whop-license/element";

const { content: endpoint } = document.querySelector('meta[name="whop-license-endpoint"]');
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.addEventListener("message", ({ data }) => {
  document.querySelector("#worker").textContent = data;
});

document.querySelector("whop-license-gate").validator = {
  async validateLicense(licenseKey, hwid, options) {
    const { validateLicense } = await loadValidator({ endpoint });
    const verdict = await validateLicense(licenseKey, hwid, options);
    if (verdict.valid) worker.postMessage({ endpoint, licenseKey, hwid });
    return verdict;
  },
};
