/** `whop-license/element`, with the types of `<whop-license-gate>` for Preact's JSX. */
import type { JSX, Ref } from "preact";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateListeners, GateProperties } from "./props.js";

export * from "./index.js";

// Derived from `div`, because Preact 10 has no HTMLAttributes to import for TypeScript 5.0.
type GateProps = Omit<JSX.IntrinsicElements["div"], "ref"> & {
  ref?: Ref<WhopLicenseGate>;
} & GateProperties &
  GateAttributes &
  GateListeners<"on">;

declare module "preact" {
  namespace JSX {
    interface IntrinsicElements {
      "whop-license-gate": GateProps;
    }
  }
}
