/** `whop-license/element`, with the types of `<whop-license-gate>` for Solid's JSX. */
import type { JSX } from "solid-js";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateListeners, GateProperties, Prefixed } from "./props.js";

export * from "./index.js";

// Solid turns a name such as machineId into machineid, so properties need `prop:`.
type GateProps = JSX.HTMLAttributes<WhopLicenseGate> &
  Prefixed<GateProperties, "prop:"> &
  GateAttributes &
  GateListeners<"on:"> & { store?: "none" | "local" | undefined };

declare module "solid-js" {
  namespace JSX {
    interface IntrinsicElements {
      "whop-license-gate": GateProps;
    }
  }
}
