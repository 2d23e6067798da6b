import { MAX_TIMER_MS, readSignal } from "../abort.js";
import { invalid } from "../errors.js";
import { readOptions } from "../options.js";
import type { MachineIdScheme } from "../sidecar/types.js";
import { askMachineId, DEFAULT_TIMEOUT_MS, type HelperMachineId, readScheme } from "./ask.js";
import type { HelperState } from "./messages.js";
import { follow } from "./watch.js";

export type { HelperMachineId } from "./ask.js";
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
   * The scheme of the id. `app-scoped`, the default, is of the generic helper, which makes
   * an id for the page's origin alone. Another one is of a helper that the seller built.
   */
  scheme?: MachineIdScheme | undefined;
  /**
   * How long the call may take, in milliseconds, with the time in which the customer
   * decides. Default 120,000.
   */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface WatchHelperOptions {
  /** As for {@link helperMachineId}. */
  scheme?: MachineIdScheme | undefined;
  /** Ends the watch. */
  signal?: AbortSignal | undefined;
}

/**
 * Asks the browser helper for this machine's id. The helper asks the customer once,
 * in a window of the browser, which it opens only soon after a click or a key in the page.
 *
 * Rejects with a `LicenseError`: `no_machine_id`, whose `reason` says what is missing and
 * whose message says what to do; `timeout`, `aborted` or `invalid_argument`. Without a
 * `reason`, the machine itself has no id. Never replace a missing id by a fixed value.
 */
export async function helperMachineId(options?: HelperOptions): Promise<HelperMachineId> {
  const beganMs = performance.now();
  const {
    scheme,
    timeoutMs = DEFAULT_TIMEOUT_MS,
    signal,
  } = readOptions(options, ["scheme", "timeoutMs", "signal"]);
  if (typeof timeoutMs !== "number" || !(timeoutMs > 0 && timeoutMs <= MAX_TIMER_MS)) {
    throw invalid("timeoutMs", "must be a number above 0 and below 2,147,483,648");
  }
  return askMachineId(readScheme(scheme), { beganMs, timeoutMs, signal: readSignal(signal) });
}

/**
 * Tells how the helper stands for this page: at first, and whenever that changes while
 * the page is visible. Returns a function that ends the watch. However many watch a scheme
 * in a page, the helper is asked as by one.
 *
 * Firefox puts an extension into pages that are open already. Chrome and its relatives do
 * not, so there the page must be loaded again after the extension was installed.
 */
export function watchHelper(
  listener: (state: HelperState) => void,
  options?: WatchHelperOptions,
): () => void {
  if (typeof listener !== "function") throw invalid("listener", "must be a function");
  const read = readOptions(options, ["scheme", "signal"]);
  const scheme = readScheme(read.scheme);
  const signal = readSignal(read.signal);
  if (signal?.aborted) return () => {};
  const stop = () => {
    unfollow();
    signal?.removeEventListener("abort", stop);
  };
  signal?.addEventListener("abort", stop, { once: true });
  const unfollow = follow(scheme, listener);
  return stop;
}
