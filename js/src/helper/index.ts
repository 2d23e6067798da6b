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

/**
 * Asks the browser helper for this machine's id. The helper asks the customer once, in a
 * browser window. It opens the window only soon after a click or a key press in the page.
 *
 * Rejects with a `LicenseError`: `no_machine_id`, whose `reason` says what is missing and
 * whose message says what to do; `timeout`, `aborted` or `invalid_argument`. Without a
 * `reason`, the machine itself has no id. Never replace a missing id with a fixed value.
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
 * Calls the listener with the helper's state for this page: first with the current one, and
 * then whenever it changes while the page is visible. Returns a function that ends the
 * watch. Throws a `LicenseError` `invalid_argument`. All watches of a scheme in a page share
 * their questions to the helper.
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
