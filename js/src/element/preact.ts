/** `whop-license/element`, with the types of `<whop-license-gate>` for Preact's JSX. */
import type { HTMLAttributes } from "preact";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateListeners, GateProperties } from "./props.js";

export * from "./index.js";

type GateProps = HTMLAttributes<WhopLicenseGate> &
  GateProperties &
  GateAttributes &
  GateListeners<"on">;

declare module "preact" {
  namespace JSX {
    interface IntrinsicElements {
      "whop-license-gate": GateProps;
    }
  }
}
