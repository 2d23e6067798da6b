/** `<whop-license-gate>`, a custom element. Importing this module defines it. */
import { WhopLicenseGate } from "./gate.js";
import type { GateEventMap } from "./props.js";

export { LicenseError, type LicenseErrorCode, type LicenseErrorReason } from "../errors.js";
export type { InvalidVerdict, ValidVerdict, Verdict } from "../types.js";
export type { GateMachineId, GateValidator, GateValidatorSource } from "./check.js";
export { type GateState, WhopLicenseGate } from "./gate.js";
export type { GateStore, KeyStore } from "./store.js";
export { defaultTexts, type GateTexts, type GateTextsInput, type OutcomeTexts } from "./texts.js";

const NAME = "whop-license-gate";

/**
 * Defines `<whop-license-gate>`. It does nothing if the name is already taken, for
 * example by another copy of this module, or if there are no custom elements, as on a
 * server. Importing this module calls it.
 */
export function defineLicenseGate(): void {
  if (globalThis.customElements && !customElements.get(NAME)) {
    customElements.define(NAME, WhopLicenseGate);
  }
}

defineLicenseGate();

declare global {
  interface HTMLElementTagNameMap {
    "whop-license-gate": WhopLicenseGate;
  }
  // For every target, because the events bubble.
  interface GlobalEventHandlersEventMap extends GateEventMap {}
}
