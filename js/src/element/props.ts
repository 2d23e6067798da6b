// What a framework's markup can set on a gate, for the types of each framework.
import type { LicenseError } from "../errors.js";
import type { MachineIdScheme } from "../sidecar/types.js";
import type { InvalidVerdict, ValidVerdict } from "../types.js";
import type { GateMachineId, GateValidatorSource } from "./check.js";
import type { GateStore } from "./store.js";
import type { GateTextsInput } from "./texts.js";

/** The gate's properties. */
export interface GateProperties {
  validator?: GateValidatorSource | undefined;
  machineId?: GateMachineId | undefined;
  store?: GateStore | undefined;
  texts?: GateTextsInput | undefined;
}

/** The gate's attributes, apart from `store`, which is a property too. */
export interface GateAttributes {
  "product-name"?: string | undefined;
  "reset-url"?: string | undefined;
  "buy-url"?: string | undefined;
  "support-url"?: string | undefined;
  machine?: "helper" | undefined;
  "helper-url"?: string | undefined;
  "helper-scheme"?: MachineIdScheme | undefined;
}

/** The gate's events. */
export interface GateEventMap {
  "whop-license-valid": CustomEvent<ValidVerdict>;
  "whop-license-refused": CustomEvent<InvalidVerdict>;
  "whop-license-error": CustomEvent<LicenseError>;
}

/** Listeners for the gate's events. Each name is a prefix followed by the event's name. */
export type GateListeners<Prefix extends string> = {
  [Name in keyof GateEventMap as `${Prefix}${Name}`]?:
    | ((event: GateEventMap[Name]) => void)
    | undefined;
};

/** Members whose names have a prefix, such as `prop:`. */
export type Prefixed<Members, Prefix extends string> = {
  [Name in keyof Members as `${Prefix}${Name & string}`]: Members[Name];
};
