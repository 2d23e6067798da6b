// Watches the helper's state for this page.
import type { MachineIdScheme } from "../sidecar/types.js";
import { exchange, mayAsk } from "./exchange.js";
import type { HelperAnswer, HelperState } from "./messages.js";

/** How often a watch asks, in milliseconds. */
const WATCH_MS = 1500;

type Listener = (state: HelperState) => void;

interface Watch {
  /** The state that each listener was told last. A function may listen twice. */
  readonly told: Map<{ readonly listener: Listener }, HelperState | undefined>;
  readonly ended: AbortController;
  state?: HelperState;
}

/**
 * The watches of this page, each while it has a listener. The extension limits how often a
 * page may ask, so all listeners of a scheme share one watch.
 */
const watches = new Map<MachineIdScheme, Watch>();

/** Calls back with the state of a scheme's helper, and with each change, until the returned function is called. */
export function follow(scheme: MachineIdScheme, listener: Listener): () => void {
  const watch = watches.get(scheme) ?? start(scheme);
  const follower = { listener };
  watch.told.set(follower, undefined);
  tell(watch);
  return () => {
    if (!watch.told.delete(follower) || watch.told.size > 0) return;
    watches.delete(scheme);
    watch.ended.abort();
  };
}

function start(scheme: MachineIdScheme): Watch {
  const watch: Watch = { told: new Map(), ended: new AbortController() };
  watches.set(scheme, watch);
  void run(watch, scheme);
  return watch;
}

async function run(watch: Watch, scheme: MachineIdScheme): Promise<void> {
  const ended = watch.ended.signal;
  do {
    watch.state = stateOf(await exchange("state", scheme, ended));
    tell(watch);
    // A page that may not ask now never will.
    if (!mayAsk()) return;
    await pause(ended);
  } while (!ended.aborted);
}

/** Tells the listeners that don't know the state yet, each in a microtask, as one may throw. */
function tell({ told, state }: Watch): void {
  if (state === undefined) return;
  for (const follower of told.keys()) {
    queueMicrotask(() => {
      if (!told.has(follower) || told.get(follower) === state) return;
      told.set(follower, state);
      follower.listener(state);
    });
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
