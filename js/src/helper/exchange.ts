import type { MachineIdScheme } from "../sidecar/types.js";
import {
  HELPER_PROTOCOL,
  type HelperAnswer,
  type HelperReason,
  type HelperReply,
  type HelperRequest,
} from "./messages.js";

// The extension takes a request in the page's own thread, before a timer of the page can
// end. Two in a row, so that the first may be late.
const PRESENCE_MS = 500;
/** Longer than the extension waits for its program. Then it has gone, or its answer got lost. */
const STATE_MS = 40_000;

const noExtension: HelperAnswer = {
  error: {
    reason: "no_extension",
    message:
      "No browser helper answers in this page. Install the extension, and load the page again.",
  },
};

// Installing the helper wouldn't help.
const noPage: HelperAnswer = {
  error: {
    reason: "refused",
    message:
      "The browser helper answers only a page of its own, over https or on a loopback address, and not a frame of another page. Open this page in a tab of its own.",
  },
};

/**
 * Sends a request to the extension and resolves to its answer, or to an error of the
 * reason `no_extension` or `refused`. It never settles once `ended` is aborted.
 */
export function exchange(
  ask: HelperRequest["ask"],
  scheme: MachineIdScheme,
  ended: AbortSignal,
): Promise<HelperAnswer> {
  return new Promise((resolve) => {
    if (!mayAsk()) {
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
    let timer: ReturnType<typeof setTimeout> | undefined;
    window.addEventListener(
      "message",
      (event) => {
        const answer = read(event, id, scheme);
        if (!answer) return;
        if (!("received" in answer)) finish(answer);
        else {
          clearTimeout(timer);
          // The id takes as long as the customer does.
          if (ask === "state") timer = setTimeout(finish, STATE_MS, noExtension);
        }
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
    const send = () => {
      timer = setTimeout(() => {
        timer = setTimeout(finish, PRESENCE_MS, noExtension);
      }, PRESENCE_MS);
      const request: HelperRequest = {
        protocol: HELPER_PROTOCOL,
        to: "extension",
        id,
        ask,
        scheme,
      };
      window.postMessage(request, self.origin);
    };
    // A page that is rendered before it is opened would be refused.
    if (!(document as { prerendering?: boolean }).prerendering) send();
    else document.addEventListener("prerenderingchange", send, { signal: done.signal });
  });
}

/** Whether a helper could answer this page. One of no origin has nowhere to send to. */
export function mayAsk(): boolean {
  if (typeof window === "undefined") return false;
  return window.top === window && self.origin !== "null" && self.isSecureContext;
}

/** The answer in a message; undefined if it isn't one to this request. A frame could send one too. */
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
