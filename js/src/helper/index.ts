import { MAX_TIMER_MS, readDeadline, readSignal, within } from "../abort.js";
import { invalid, LicenseError } from "../errors.js";
import { readOptions } from "../options.js";
import type { MachineIdScheme } from "../sidecar/types.js";
import { exchange } from "./exchange.js";
import type { HelperAnswer, HelperReason, HelperState } from "./messages.js";

export type {
  HelperAnswer,
  HelperReason,
  HelperReply,
  HelperRequest,
  HelperState,
} from "./messages.js";
export { HELPER_PROTOCOL } from "./messages.js";

export interface HelperOptions {
  /**
   * The scheme of the id. The default, `app-scoped`, is that of the generic helper, which
   * makes an id only for the page's origin. For another scheme, the seller must have built
   * a helper.
   */
  scheme?: MachineIdScheme | undefined;
  /**
   * How long the call may take, in milliseconds, including the time that the customer
   * needs to decide. Above 0, at most 2,147,483,647. Default 120,000.
   */
  timeoutMs?: number | undefined;
  /** Aborts the call, which then rejects with `aborted`. */
  signal?: AbortSignal | undefined;
}

export interface WatchHelperOptions {
  /** As for {@link helperMachineId}. */
  scheme?: MachineIdScheme | undefined;
  /** Ends the watch. */
  signal?: AbortSignal | undefined;
}

/** This machine's id, as a page gets it. */
export interface HelperMachineId {
  /** 64 lowercase hexadecimal digits, the same on every call from this origin on this machine. */
  id: string;
  scheme: MachineIdScheme;
  /** English sentences that say why several machines may share the id; usually empty. */
  warnings: string[];
}

const SCHEMES: readonly unknown[] = ["app-scoped", "node-machine-id", "python-platform-node"];
const DEFAULT_TIMEOUT_MS = 120_000;
/** How often a watch asks, in milliseconds. */
const WATCH_MS = 1500;

/**
 * Asks the browser helper for this machine's id. The helper asks the customer once, in a
 * browser window. It opens the window only soon after a click or a key press in the page.
 *
 * Rejects with a `LicenseError`: `no_machine_id`, whose `reason` says what is missing and
 * whose message says what to do; `timeout`, `aborted` or `invalid_argument`. Without a
 * `reason`, the machine itself has no id. Never replace a missing id with a fixed value.
 */
export async function helperMachineId(options?: HelperOptions): Promise<HelperMachineId> {
  const {
    scheme = "app-scoped",
    timeoutMs = DEFAULT_TIMEOUT_MS,
    signal,
  } = readOptions(options, [...(["scheme", "timeoutMs", "signal"] as const)]);
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS)) {
    throw invalid("timeoutMs", "must be a number above 0 and below 2,147,483,648");
  }
  const ended = new AbortController();
  const deadline = { ...readDeadline({ timeoutMs }), signal: readSignal(signal) };
  try {
    const asked = exchange("machineId", readScheme(scheme), ended.signal);
    const answer = await within(asked, deadline);
    if ("machineId" in answer) return answer.machineId;
    throw failure(answer);
  } finally {
    ended.abort();
  }
}

/**
 * Calls the listener with the helper's state for this page: first with the current one, and
 * then whenever it changes while the page is visible. Returns a function that ends the
 * watch. Throws a `LicenseError` `invalid_argument`.
 *
 * Firefox adds a new extension to pages that are already open. Chrome and other Chromium
 * browsers don't, so there the page must be reloaded after the extension is installed.
 */
export function watchHelper(
  listener: (state: HelperState) => void,
  options?: WatchHelperOptions,
): () => void {
  if (typeof listener !== "function") throw invalid("listener", "must be a function");
  const read = readOptions(options, ["scheme", "signal"]);
  const scheme = readScheme(read.scheme ?? "app-scoped");
  const signal = readSignal(read.signal);
  const ended = new AbortController();
  const stop = () => {
    ended.abort();
    signal?.removeEventListener("abort", stop);
  };
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  void watch(listener, scheme, ended.signal);
  return stop;
}

async function watch(
  listener: (state: HelperState) => void,
  scheme: MachineIdScheme,
  ended: AbortSignal,
): Promise<void> {
  let last: HelperState | undefined;
  while (!ended.aborted) {
    const state = stateOf(await exchange("state", scheme, ended));
    if (ended.aborted) return;
    if (state !== last) {
      last = state;
      listener(state);
    }
    await pause(ended);
  }
}

/** Waits for the interval, and then until the page is visible. */
function pause(ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      if (document.visibilityState !== "visible" && !ended.aborted) return;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", go);
      ended.removeEventListener("abort", go);
      resolve();
    };
    const timer = setTimeout(go, WATCH_MS);
    document.addEventListener("visibilitychange", go);
    ended.addEventListener("abort", go);
  });
}

function stateOf(answer: HelperAnswer): HelperState {
  if ("state" in answer) return answer.state;
  return ("error" in answer && answer.error.reason) || "refused";
}

function readScheme(scheme: unknown): MachineIdScheme {
  if (!SCHEMES.includes(scheme)) throw invalid("scheme", `must be one of ${SCHEMES.join(", ")}`);
  return scheme as MachineIdScheme;
}

function failure(answer: HelperAnswer): LicenseError {
  const { reason, message }: { reason?: HelperReason; message: string } =
    "error" in answer ? answer.error : { reason: "refused", message: "The helper gave no id." };
  return new LicenseError("no_machine_id", message, { reason, retryable: reason !== undefined });
}
