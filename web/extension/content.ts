// Runs in the top frame of a page, isolated from the page's own scripts. It does nothing
// until the page asks, and then passes on the request and the answer.
import type { HelperAnswer } from "whop-license/helper";
import { Limit, tooMany } from "./limits.js";
import { type Answer, PROTOCOL, type Question, readRequest } from "./messages.js";
import { askingOrigin } from "./origins.js";

const limit = new Limit();

const gone: Answer = {
  error: {
    reason: "no_extension",
    message: "The browser helper was updated or removed. Reload the page.",
  },
};

// A sandboxed page has no origin for which an id could be made.
const origin = self.origin === "null" ? undefined : askingOrigin(location.href);

if (window.top === window && origin !== undefined) {
  window.addEventListener("message", (event) => {
    // A frame of the page, or another window, can post messages here too.
    if (event.source !== window || event.origin !== origin) return;
    const request = readRequest(event.data);
    if (!request) return;
    const reply = (answer: HelperAnswer): void =>
      window.postMessage({ protocol: PROTOCOL, to: "page", id: request.id, answer }, origin);
    if (!limit.enter()) {
      reply(tooMany);
      return;
    }
    reply({ received: true });
    const { isActive: active } = navigator.userActivation;
    void ask({ ask: request.ask, active })
      .then(reply)
      .finally(() => limit.leave());
  });
}

async function ask(question: Question): Promise<Answer> {
  let watch: ReturnType<typeof setInterval> | undefined;
  // A message to an extension that is being updated may never be answered.
  const orphaned = new Promise<Answer>((resolve) => {
    watch = setInterval(() => {
      if (chrome.runtime?.id === undefined) resolve(gone);
    }, 500);
  });
  try {
    const answered = chrome.runtime.sendMessage<Question, Answer | undefined>(question);
    return (await Promise.race([answered, orphaned])) ?? gone;
  } catch {
    return gone;
  } finally {
    clearInterval(watch);
  }
}
