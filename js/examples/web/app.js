import "./node_modules/whop-license/dist/element/index.js";
import { loadValidator } from "./node_modules/whop-license/dist/index.js";

const settings = {
  endpoint: "https://license.example.com",
  // As `whop-license-gateway keygen` prints it: only what is signed with it is valid.
  publicKey: "YOUR-GATEWAY-PUBLIC-KEY",
  // The app opens without a connection while the last signed answer is good.
  leases: "local",
};

const gate = document.querySelector("whop-license-gate");
gate.machineId = browserId;
gate.validator = () => loadValidator(settings);

document.querySelector("#remove").addEventListener("click", () => gate.forget());

/** A page can't know the machine, so the license is bound to this browser. */
function browserId() {
  const known = localStorage.getItem("browser-id");
  if (known) return known;
  const made = crypto.randomUUID();
  localStorage.setItem("browser-id", made);
  return made;
}
