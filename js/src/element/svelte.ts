/** `whop-license/element`, with the types of `<whop-license-gate>` for Svelte's markup. */
import type { HTMLAttributes } from "svelte/elements";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateListeners, GateProperties } from "./props.js";

export * from "./index.js";

type GateProps = HTMLAttributes<WhopLicenseGate> &
  GateProperties &
  GateAttributes &
  GateListeners<"on"> &
  GateListeners<"on:">;

declare module "svelte/elements" {
  interface SvelteHTMLElements {
    "whop-license-gate": GateProps;
  }
}
