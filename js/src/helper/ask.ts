// One question for this machine's id, whose scheme and deadline have been read.
import { type Deadline, within } from "../abort.js";
import { invalid, LicenseError } from "../errors.js";
import type { MachineIdScheme } from "../sidecar/types.js";
import { exchange } from "./exchange.js";
import type { HelperAnswer, HelperReason } from "./messages.js";

/** This machine's id, as a page gets it. */
export interface HelperMachineId {
  /** 64 lowercase hexadecimal digits, the same on every call from this origin on this machine. */
  id: string;
  scheme: MachineIdScheme;
  /** English sentences that say why several machines may share the id; usually empty. */
  warnings: string[];
}

/** How long a question may take, in milliseconds, including the time that the customer needs to decide. */
export const DEFAULT_TIMEOUT_MS = 120_000;

const SCHEMES: readonly unknown[] = ["app-scoped", "node-machine-id", "python-platform-node"];

/** Reads a scheme; the default is the generic helper's. */
export function readScheme(scheme: unknown = "app-scoped"): MachineIdScheme {
  if (!SCHEMES.includes(scheme)) throw invalid("scheme", `must be one of ${SCHEMES.join(", ")}`);
  return scheme as MachineIdScheme;
}

export async function askMachineId(
  scheme: MachineIdScheme,
  deadline: Deadline,
): Promise<HelperMachineId> {
  const ended = new AbortController();
  try {
    const answer = await within(exchange("machineId", scheme, ended.signal), deadline);
    if ("machineId" in answer) return answer.machineId;
    throw failure(answer);
  } finally {
    ended.abort();
  }
}

function failure(answer: HelperAnswer): LicenseError {
  const { reason, message }: { reason?: HelperReason; message: string } =
    "error" in answer ? answer.error : { reason: "refused", message: "The helper gave no id." };
  return new LicenseError("no_machine_id", message, { reason, retryable: reason !== undefined });
}
