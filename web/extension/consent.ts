// Whether an origin may learn its id. The decision is stored by origin, and made in the
// extension's own window, which no page can draw, fill or click.

export type Decision = "allowed" | "denied";

const PREFIX = "consent:";
const CLOSED = "closed:";
const WINDOW = { type: "popup", width: 460, height: 420, focused: true } as const;
/** After how many windows that are closed without an answer that counts as a no, which the options list. */
const MAX_CLOSED = 3;

interface Pending {
  readonly origin: string;
  readonly settle: (decision: Decision | "closed") => void;
  window?: number | undefined;
}

/** The question that is open. There is one at a time, so that no page can fill the screen. */
let pending: Pending | undefined;

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

/** Stores a decision. Without one, the customer is asked again. */
export async function keep(origin: string, decision: Decision | undefined): Promise<void> {
  if (decision) await chrome.storage.local.set({ [PREFIX + origin]: decision });
  else await chrome.storage.local.remove(PREFIX + origin);
}

/** Asks the customer. Returns `busy` if another site's question is open, and shows that one again. */
export async function decide(origin: string): Promise<Decision | "closed" | "busy"> {
  if (pending) {
    await showQuestion();
    return "busy";
  }
  let settle: Pending["settle"] = () => {};
  const decided = new Promise<Decision | "closed">((resolve) => {
    settle = resolve;
  });
  const question: Pending = { origin, settle };
  pending = question;
  let decision: Decision | "closed";
  try {
    const url = chrome.runtime.getURL("consent.html");
    question.window = (await chrome.windows.create({ url, ...WINDOW }))?.id;
    decision = await decided;
  } finally {
    pending = undefined;
  }
  if (decision === "closed" && (await countClosed(origin)) < MAX_CLOSED) return decision;
  const answer = decision === "closed" ? "denied" : decision;
  await chrome.storage.session.remove(CLOSED + origin);
  await keep(origin, answer);
  return answer;
}

/** Brings the open question to the front: the customer may have lost its window. */
export async function showQuestion(): Promise<void> {
  const { window } = pending ?? {};
  if (window === undefined) return;
  // It may have been closed in the meantime.
  await chrome.windows.update(window, { focused: true, state: "normal" }).catch(() => {});
}

/**
 * Counts the windows that were closed without an answer since the browser was started. The
 * count is stored, because the browser ends and restarts the background at any time.
 */
async function countClosed(origin: string): Promise<number> {
  const { [CLOSED + origin]: before } = await chrome.storage.session.get(CLOSED + origin);
  const times = (typeof before === "number" ? before : 0) + 1;
  await chrome.storage.session.set({ [CLOSED + origin]: times });
  return times;
}

/** Serves the window that asks. Returns false if the port belongs to something else. */
export function isConsentPage(port: chrome.runtime.Port): boolean {
  const { id, url } = port.sender ?? {};
  if (id !== chrome.runtime.id || url !== chrome.runtime.getURL("consent.html")) return false;
  const question = pending;
  port.postMessage({ origin: question?.origin ?? null });
  port.onMessage.addListener((decision: unknown) => {
    // Anything else keeps the background awake while the window is open.
    if (decision === "allowed" || decision === "denied") question?.settle(decision);
  });
  port.onDisconnect.addListener(() => question?.settle("closed"));
  return true;
}
