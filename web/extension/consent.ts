// Whether an origin may learn its id: kept by origin, and decided in a window of the
// extension's own, which no page can draw, fill or click.

export type Decision = "allowed" | "denied";

const PREFIX = "consent:";
const WINDOW = { type: "popup", width: 460, height: 420, focused: true } as const;
/** How often a window may be closed without an answer. Then that is a no, which the options list. */
const MAX_CLOSED = 3;

interface Pending {
  readonly origin: string;
  readonly settle: (decision: Decision | undefined) => void;
}

/** The question that is open. There is one at a time, so that no page can fill the screen. */
let pending: Pending | undefined;
/** The windows that were closed without an answer since the browser was started, by origin. */
const closed = new Map<string, number>();

export async function consentOf(origin: string): Promise<Decision | undefined> {
  const { [PREFIX + origin]: decision } = await chrome.storage.local.get(PREFIX + origin);
  return decision === "allowed" || decision === "denied" ? decision : undefined;
}

/** What was decided, by origin. */
export async function consents(): Promise<[origin: string, decision: Decision][]> {
  const all = Object.entries(await chrome.storage.local.get(null));
  return all
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, decision]) => [name.slice(PREFIX.length), decision as Decision]);
}

/** Keeps a decision; with none, the customer is asked again. */
export async function keep(origin: string, decision: Decision | undefined): Promise<void> {
  if (decision) await chrome.storage.local.set({ [PREFIX + origin]: decision });
  else await chrome.storage.local.remove(PREFIX + origin);
}

/** Asks the customer. Undefined if the window was closed without an answer, or can't be opened now. */
export async function decide(origin: string): Promise<Decision | undefined> {
  if (pending) return undefined;
  const decided = new Promise<Decision | undefined>((settle) => {
    pending = { origin, settle };
  });
  let decision: Decision | undefined;
  try {
    await chrome.windows.create({ url: chrome.runtime.getURL("consent.html"), ...WINDOW });
    decision = await decided;
  } finally {
    pending = undefined;
  }
  const times = decision ? 0 : (closed.get(origin) ?? 0) + 1;
  closed.set(origin, times);
  if (times >= MAX_CLOSED) decision = "denied";
  if (decision) {
    closed.delete(origin);
    await keep(origin, decision);
  }
  return decision;
}

/** Serves the window that asks; false if the port is of something else. */
export function isConsentPage(port: chrome.runtime.Port): boolean {
  const { id, url } = port.sender ?? {};
  if (id !== chrome.runtime.id || url !== chrome.runtime.getURL("consent.html")) return false;
  const question = pending;
  port.postMessage({ origin: question?.origin ?? null });
  port.onMessage.addListener((decision: unknown) => {
    // Anything else keeps the background awake while the window is open.
    if (decision === "allowed" || decision === "denied") question?.settle(decision);
  });
  port.onDisconnect.addListener(() => question?.settle(undefined));
  return true;
}
