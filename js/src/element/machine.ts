// `machine="helper"`: the gate asks the browser helper for this machine's id, and watches
// the helper's state while the customer has to do something about it.
import { invalid, LicenseError, type LicenseErrorReason } from "../errors.js";
import { type HelperState, helperMachineId, watchHelper } from "../helper/index.js";
import type { MachineIdScheme } from "../sidecar/types.js";
import { type Answer, lackOf } from "./answer.js";
import type { GateMachineId } from "./check.js";

export const MACHINE_ATTRIBUTES = ["machine", "helper-scheme"] as const;

/** How a gate finds the machine id according to its attributes; undefined if they don't say. */
export function machineOf(gate: Element, signal: AbortSignal): GateMachineId | undefined {
  const machine = gate.getAttribute("machine");
  if (machine === null) return undefined;
  return async () => {
    // A misspelled word must not turn the binding off.
    if (machine.trim() !== "helper") throw invalid("machine", 'must be "helper"');
    try {
      return (await helperMachineId({ scheme: schemeOf(gate), signal })).id;
    } catch (error) {
      if (!(error instanceof LicenseError) || error.code !== "timeout") throw error;
      // The gate would show a timeout as that of the license server, which was not asked yet.
      throw lacks("no_consent", "The browser helper's question was not answered in time.");
    }
  };
}

// helperMachineId rejects an unknown scheme.
function schemeOf(gate: Element): MachineIdScheme | undefined {
  return (gate.getAttribute("helper-scheme")?.trim() || undefined) as MachineIdScheme | undefined;
}

function lacks(reason: LicenseErrorReason, message: string): LicenseError {
  return new LicenseError("no_machine_id", message, { reason, retryable: true });
}

/** What a gate shows while it watches the helper. */
export interface Shown {
  answer: Answer | undefined;
  /** Whether there is a license key that could be checked. */
  hasKey: boolean;
  /** Whether the gate is waiting for a key and the customer has entered nothing. */
  blank: boolean;
}

/** What a gate does next: show what is missing, the form again, or check the key it has. */
export type Step = LicenseError | "form" | "check" | undefined;

/** Watches the helper's state for a gate. */
export class HelperWatch {
  readonly #gate: Element;
  readonly #take: (state: HelperState, first: boolean) => void;
  #known: HelperState | undefined;
  #end: (() => void) | undefined;

  /** @param take Called with the first state that a watch sees, and with each change. */
  constructor(gate: Element, take: (state: HelperState, first: boolean) => void) {
    this.#gate = gate;
    this.#take = take;
  }

  /**
   * Starts or ends the watch, depending on what the gate shows; undefined if the gate
   * doesn't use the helper. A gate whose form can be used needs no watch.
   */
  follow(shown: Shown | undefined): void {
    const asks = this.#gate.getAttribute("machine")?.trim() === "helper";
    const wanted =
      asks && shown && (lackOf(shown.answer) || (shown.blank && this.#known === undefined));
    if (!wanted) this.stop();
    else if (!this.#end) this.#start();
  }

  stop(): void {
    this.#end?.();
    this.#end = undefined;
  }

  /** Resets if an attribute says how the machine id is found. Returns whether it does. */
  resetOn(attribute: string): boolean {
    const says = (MACHINE_ATTRIBUTES as readonly string[]).includes(attribute);
    if (says) this.reset();
    return says;
  }

  /** Starts over, because another scheme means another helper. */
  reset(): void {
    this.stop();
    this.#known = undefined;
  }

  #start(): void {
    let first = true;
    try {
      this.#end = watchHelper(
        (state) => {
          const begun = first;
          first = false;
          this.#known = state;
          this.#take(state, begun);
        },
        { scheme: schemeOf(this.#gate) },
      );
    } catch {
      // The next check reports an unknown scheme.
    }
  }
}

/** The step that follows from the helper's state. `first`: the state may be the same as when the gate asked. */
export function stepOn(state: HelperState, first: boolean, shown: Shown): Step {
  const lack = lackOf(shown.answer);
  // A page that asks too often is refused, which says nothing about the helper.
  if (state === lack || state === "refused" || (!lack && !shown.blank)) return undefined;
  // A check must not be repeated forever if its outcome differs from what the watch sees.
  if (lack && first && shown.hasKey) return undefined;
  if (state === "no_extension" || state === "no_program") {
    return lacks(state, `The browser helper is not ready in this page: ${state}.`);
  }
  if (!lack) return undefined;
  if (!shown.hasKey) return "form";
  return state === "ready"
    ? "check"
    : lacks(state, "This page is not allowed to know the computer's id yet.");
}
