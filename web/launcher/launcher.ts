import type { WhopLicenseGate } from "./whop-license/element/index.js";
import "./whop-license/element/index.js";
import { LicenseError, loadValidator, type Membership } from "./whop-license/index.js";

const endpoint =
  document.querySelector<HTMLMetaElement>('meta[name="whop-license-endpoint"]')?.content ?? "";

const gate = find("whop-license-gate") as WhopLicenseGate;
const machineId = find("#machine-id") as HTMLInputElement;
const advanced = find("#advanced") as HTMLDetailsElement;

gate.texts = {
  outcomes: {
    no_machine_id: {
      title: "This machine can’t be identified",
      text: "Its id couldn’t be read, or isn’t a valid machine id. Your license was not checked.",
      next: [
        "Check the machine id under Advanced for missing or extra characters.",
        "Or open this page from the app, which fills it in.",
      ],
    },
    load_failed: {
      title: "This page couldn’t start its license check",
      text: "Part of the page is missing or was blocked. Your license was not checked.",
      next: [
        "Reload this page.",
        "Turn off browser extensions that block content, or update your browser.",
        "If this keeps happening, contact the seller and send them the details below.",
      ],
    },
  },
};
gate.addEventListener("whop-license-valid", ({ detail }) => {
  find("#facts").replaceChildren(...facts(detail.membership));
});
gate.addEventListener("whop-license-error", ({ detail }) => {
  if (detail.code === "no_machine_id" && !detail.reason) advanced.open = true;
});
find("#another").addEventListener("click", () => void gate.forget());
addEventListener("hashchange", readFragment);
machineId.addEventListener("input", useMachineId);

readFragment();
// Load early, so that the first check is quick. That check will report a failure.
loadValidator({ endpoint }).catch(() => {});

gate.validator = {
  async validateLicense(licenseKey, hwid, options) {
    try {
      const { validateLicense } = await loadValidator({ endpoint });
      return await validateLicense(licenseKey, hwid, options);
    } catch (error) {
      // The customer enters only the id and the key here; all other arguments are the seller's.
      if (error instanceof LicenseError && error.argument === "hwid") {
        throw new LicenseError("no_machine_id", error.message);
      }
      throw error;
    }
  },
};

function find(selector: string): Element {
  const found = document.querySelector(selector);
  if (!found) throw new Error(`launcher: the page has no ${selector}`);
  return found;
}

/** An app opens this page with `#machine-id=…`; a fragment is not sent to the server. */
function readFragment(): void {
  const id = new URLSearchParams(location.hash.slice(1)).get("machine-id");
  if (id !== null) machineId.value = id;
  useMachineId();
}

/** An id in the field is used in place of the browser helper's. */
function useMachineId(): void {
  gate.machineId = machineId.value.trim() || undefined;
}

/** Facts about a membership, as text and never as markup. */
function facts(membership: Membership): HTMLElement[] {
  const { status, expires_at: expires, renewal_period_end: renews } = membership;
  const until = expires ?? renews;
  const ends = expires != null || membership.cancel_at_period_end === true;
  return [
    ["Status", status ?? ""],
    [ends ? "Valid until" : "Renews", until == null ? "" : date(until)],
  ]
    .filter(([, value]) => value !== "")
    .flatMap(([name = "", value = ""]) => [withText("dt", name), withText("dd", value)]);
}

function date(unixSeconds: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "long" }).format(unixSeconds * 1000);
}

function withText(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
