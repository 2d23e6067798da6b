import type { MachineIdScheme } from "../sidecar/types.js";
import {
  HELPER_PROTOCOL,
  type HelperAnswer,
  type HelperReason,
  type HelperReply,
  type HelperRequest,
} from "./messages.js";

// The extension acknowledges a request in the page's own thread, before a timer of the page
// can fire. Two timers run in a row, in case the first fires late.
const PRESENCE_MS = 500;

const noExtension: HelperAnswer = {
  error: {
    reason: "no_extension",
    message: "No browser helper answers in this page. Install the extension, and reload the page.",
  },
};

// Installing the helper wouldn't help.
const noPage: HelperAnswer = {
  error: {
    reason: "refused",
    message:
      "The browser helper answers only top-level pages, over https or on a loopback address, and no frames. Open this page in its own tab.",
  },
};

/**
 * Sends a request to the extension and resolves to its answer, or to an error with the
 * reason `no_extension` or `refused`. It never settles after `ended` is aborted.
 */
export function exchange(
  ask: HelperRequest["ask"],
  scheme: MachineIdScheme,
  ended: AbortSignal,
): Promise<HelperAnswer> {
  return new Promise((resolve) => {
    if (typeof window === "undefined" || !mayAsk()) {
      resolve(noPage);
      return;
    }
    const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join(
      "-",
    );
    const done = new AbortController();
    const finish = (answer: HelperAnswer) => {
      done.abort();
      clearTimeout(timer);
      resolve(answer);
    };
    let timer = setTimeout(() => {
      timer = setTimeout(finish, PRESENCE_MS, noExtension);
    }, PRESENCE_MS);
    window.addEventListener(
      "message",
      (event) => {
        const answer = read(event, id, scheme);
        if (!answer) return;
        if ("received" in answer) clearTimeout(timer);
        else finish(answer);
      },
      { signal: done.signal },
    );
    ended.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        done.abort();
      },
      { signal: done.signal },
    );
    const request: HelperRequest = { protocol: HELPER_PROTOCOL, to: "extension", id, ask, scheme };
    window.postMessage(request, self.origin);
  });
}

/** Whether a helper could answer this page. A page without an origin can't be addressed. */
function mayAsk(): boolean {
  return window.top === window && self.origin !== "null" && self.isSecureContext;
}

/** The answer in a message; undefined if it doesn't answer this request. Frames can send messages, too. */
function read(event: MessageEvent, id: string, scheme: MachineIdScheme): HelperAnswer | undefined {
  if (event.source !== window || event.origin !== self.origin) return undefined;
  const reply = event.data as HelperReply | null;
  if (typeof reply !== "object" || reply?.protocol !== HELPER_PROTOCOL) return undefined;
  if (reply.to !== "page" || reply.id !== id) return undefined;
  return readAnswer(reply.answer, scheme);
}

const REASONS: readonly unknown[] = ["no_extension", "no_program", "no_consent", "refused"];

function readAnswer(answer: unknown, asked: MachineIdScheme): HelperAnswer | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { received, state, machineId, error } = answer as Record<string, unknown>;
  if (received === true) return { received };
  if (state === "ready" || REASONS.includes(state)) return { state: state as HelperReason };
  const given = (machineId ?? error) as Record<string, unknown> | undefined;
  if (typeof given !== "object" || given === null) return undefined;
  if (machineId !== undefined) {
    const { id, scheme, warnings } = given;
    if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id) || scheme !== asked) return undefined;
    if (!Array.isArray(warnings) || warnings.some((text) => typeof text !== "string")) {
      return undefined;
    }
    return { machineId: { id, scheme: asked, warnings } };
  }
  const { reason, message } = given;
  if (typeof message !== "string") return undefined;
  return {
    error: { message, ...(REASONS.includes(reason) && { reason: reason as HelperReason }) },
  };
}
