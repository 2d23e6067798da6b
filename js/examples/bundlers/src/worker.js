// Checks for itself, before it does what the customer paid for.
import { loadValidator } from "whop-license";

addEventListener("message", async ({ data: { endpoint, licenseKey, hwid } }) => {
  try {
    const { validateLicense } = await loadValidator({ endpoint });
    const { code } = await validateLicense(licenseKey, hwid);
    postMessage(code === "valid" ? "The worker works." : `The worker was refused: ${code}`);
  } catch (error) {
    postMessage(`The worker could not ask: ${error.code}`);
  }
});
