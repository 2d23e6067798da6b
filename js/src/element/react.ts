/** `whop-license/element`, with the types of `<whop-license-gate>` for React's JSX. */
import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateListeners, GateProperties } from "./props.js";

export * from "./index.js";

type GateProps = DetailedHTMLProps<HTMLAttributes<WhopLicenseGate>, WhopLicenseGate> &
  GateProperties &
  GateAttributes &
  GateListeners<"on">;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "whop-license-gate": GateProps;
    }
  }
}
