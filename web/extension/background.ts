// Decides which pages get an answer, and asks the program.

import { consentOf, decide, isConsentPage, showQuestion } from "./consent.js";
import { Limit, tooMany } from "./limits.js";
import { type Answer, isQuestion, type Question } from "./messages.js";
import { machineId, programError, recentProgramError } from "./native.js";
import { askingOrigin } from "./origins.js";

/** By origin. Idle limits are forgotten. */
const limits = new Map<string, Limit>();
/** The answers that pages of an origin wait for together. */
const asked = new Map<string, Promise<Answer>>();

const refused: Answer = {
  error: {
    reason: "refused",
    message:
      "The browser helper answers only top-level pages, over https or on a loopback address, and no frames.",
  },
};

const failed: Answer = {
  error: { reason: "refused", message: "The browser helper could not answer. Try again." },
};

// Content scripts run in the page's process, and must not read the consents.
void chrome.storage.local.setAccessLevel?.({ accessLevel: "TRUSTED_CONTEXTS" });

chrome.runtime.onMessage.addListener((message: unknown, sender, respond) => {
  // A page that gets no answer would wait forever.
  void answer(message, sender)
    .catch(() => failed)
    .then(respond);
  return true; // the answer comes later
});

async function answer(message: unknown, sender: chrome.runtime.MessageSender): Promise<Answer> {
  const origin = originOf(sender);
  if (origin === undefined || !isQuestion(message)) return refused;
  const limit = limitOf(origin);
  if (!limit.enter()) return tooMany;
  try {
    return message.ask === "state" ? await stateOf(origin) : await idFor(origin, message);
  } finally {
    limit.leave();
  }
}

/** The origin of the page that a message is from; undefined unless it is a top frame that may ask. */
function originOf(sender: chrome.runtime.MessageSender): string | undefined {
  if (sender.id !== chrome.runtime.id || sender.tab === undefined || sender.frameId !== 0) {
    return undefined;
  }
  const origin = askingOrigin(sender.url);
  // A sandboxed page's own origin is "null".
  if (sender.origin !== undefined && sender.origin !== origin) return undefined;
  return origin;
}

function limitOf(origin: string): Limit {
  const known = limits.get(origin);
  if (known) return known;
  for (const [other, limit] of limits) if (limit.idle) limits.delete(other);
  const limit = new Limit();
  limits.set(origin, limit);
  return limit;
}

async function stateOf(origin: string): Promise<Answer> {
  const lacks = await recentProgramError();
  if (lacks) return lacks;
  const consent = await consentOf(origin);
  return { state: consent === "allowed" ? "ready" : "no_consent" };
}

function idFor(origin: string, question: Question): Promise<Answer> {
  const waiting = asked.get(origin);
  if (waiting) {
    if (question.active) void showQuestion();
    return waiting;
  }
  const answering = giveId(origin, question).finally(() => asked.delete(origin));
  asked.set(origin, answering);
  return answering;
}

async function giveId(origin: string, { active }: Question): Promise<Answer> {
  const kept = await consentOf(origin);
  if (kept === undefined) {
    // The customer must not be asked for an id that can't be given, so a cached state isn't enough.
    const lacks = await (active ? programError() : recentProgramError());
    if (lacks) return lacks;
    if (!active) return noConsent("It asks you after your next click in this page.");
  }
  const decision = kept ?? (await decide(origin));
  if (decision === "busy") {
    return noConsent("Another site's question is open. Answer that one, and try again.");
  }
  if (decision === "closed") {
    return noConsent("The question was closed without an answer. Try again.");
  }
  if (decision === "allowed") {
    const answer = await machineId(origin);
    // Consent may have been withdrawn in the meantime.
    if ((await consentOf(origin)) === "allowed") return answer;
  }
  return noConsent(
    "You did not allow it. To change that, select the browser helper's icon and allow this site there.",
  );
}

function noConsent(why: string): Answer {
  return {
    error: {
      reason: "no_consent",
      message: `The browser helper is not allowed to tell this page the computer's id. ${why}`,
    },
  };
}

chrome.runtime.onConnect.addListener((port) => {
  if (!isConsentPage(port)) port.disconnect();
});
