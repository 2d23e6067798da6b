/** `whop-license/element`, with the types of `<whop-license-gate>` for Vue's templates. */
import type { EmitFn, HTMLAttributes, PublicProps } from "vue";
import type { WhopLicenseGate } from "./gate.js";
import type { GateAttributes, GateEventMap, GateProperties } from "./props.js";

export * from "./index.js";

type GateComponent = new () => WhopLicenseGate & {
  $props: HTMLAttributes & PublicProps & GateProperties & GateAttributes;
  $emit: EmitFn<{ [Name in keyof GateEventMap]: (event: GateEventMap[Name]) => void }>;
};

declare module "vue" {
  interface GlobalComponents {
    "whop-license-gate": GateComponent;
  }
}
