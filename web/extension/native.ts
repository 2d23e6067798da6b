// Asks the program by native messaging. The program is started for each question, which
// takes milliseconds, so that a removed or updated program is noticed at once.
import type { HelperReason } from "whop-license/helper";
import type { Answer } from "./messages.js";

const PROTOCOL = 1;
/** A virus scanner may look at the program first. */
const TIMEOUT_MS = 30_000;
const MAX_PROGRAMS = 4;
/** How long the known state of the program is reused. */
const FRESH_MS = 1000;

// The sidecar derives the same name from the extension's id.
const host = `com.whop_license.${chrome.runtime.id.toLowerCase().replace(/[^a-z0-9]/g, "_")}`;

let running = 0;
let known: { at: number; error: Promise<Answer | undefined> } | undefined;

/** The id of this machine for an origin. */
export function machineId(origin: string): Promise<Answer> {
  const params =
    SCHEME === "app-scoped" ? { scheme: SCHEME, appId: `web:${origin}` } : { scheme: SCHEME };
  return withProgram(async (call) => readId(await call("machineId", params)));
}

/** What is wrong with the program, or undefined. */
export function programError(): Promise<Answer | undefined> {
  known = { at: Date.now(), error: withProgram(async () => undefined) };
  return known.error;
}

/** The same as programError, or its last result if that is recent. For pages that watch. */
export function recentProgramError(): Promise<Answer | undefined> {
  return known && Date.now() - known.at <= FRESH_MS ? known.error : programError();
}

type Call = (method: string, params: object) => Promise<unknown>;

/** Starts the program, and ends it after `use` has finished. */
async function withProgram<Result extends Answer | undefined>(
  use: (call: Call) => Promise<Result>,
): Promise<Result | Answer> {
  if (running >= MAX_PROGRAMS) return failure("refused", "The browser helper is busy. Try again.");
  running++;
  let port: chrome.runtime.Port | undefined;
  try {
    port = chrome.runtime.connectNative(host);
    const call = caller(port);
    await call("initialize", { protocol: PROTOCOL });
    return await use(call);
  } catch (error) {
    return error instanceof Failure ? error.answer : noProgram("It could not be asked.");
  } finally {
    running--;
    port?.disconnect();
  }
}

class Failure extends Error {
  constructor(readonly answer: Answer) {
    super();
  }
}

/** Sends one request at a time: the next one only after the last is answered. */
function caller(port: chrome.runtime.Port): Call {
  let last = 0;
  let settle: ((message: unknown) => void) | undefined;
  let fail: ((error: Failure) => void) | undefined;
  port.onMessage.addListener((message: unknown) => settle?.(message));
  port.onDisconnect.addListener(() => {
    const error = chrome.runtime.lastError ?? (port as { error?: { message?: string } }).error;
    fail?.(new Failure(ended(error?.message ?? "")));
  });
  return async (method, params) => {
    const id = ++last;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const message = await new Promise<unknown>((resolve, reject) => {
      settle = resolve;
      fail = reject;
      timer = setTimeout(
        () => reject(new Failure(noProgram("It did not answer in time."))),
        TIMEOUT_MS,
      );
      port.postMessage({ jsonrpc: "2.0", id, method, params });
    }).finally(() => clearTimeout(timer));
    return result(message, id);
  };
}

/** The result in a response of the program. */
function result(message: unknown, id: number): unknown {
  if (!isObject(message) || message.jsonrpc !== "2.0" || message.id !== id) throw misunderstood();
  const { error } = message;
  if (!isObject(error)) return message.result;
  const text = typeof error.message === "string" ? error.message.slice(0, 500) : "";
  const code = isObject(error.data) ? error.data.code : undefined;
  if (code === "extension_refused") throw new Failure(failure("refused", text));
  if (code === "no_machine_id") throw new Failure(failure(undefined, text));
  if (code === "unsupported_protocol") {
    throw new Failure(
      noProgram("It has a different version than the extension. Install it again."),
    );
  }
  throw misunderstood();
}

function readId(value: unknown): Answer {
  if (!isObject(value)) throw misunderstood();
  const { id, scheme, warnings } = value;
  if (typeof id !== "string" || !/^[0-9a-f]{64}$/.test(id)) throw misunderstood();
  if (scheme !== SCHEME || !Array.isArray(warnings)) throw misunderstood();
  const texts = warnings.slice(0, 10).map((text) => String(text).slice(0, 500));
  return { machineId: { id, scheme: SCHEME, warnings: texts } };
}

/** Explains a browser's message that it could not start the program, or that the program ended. */
function ended(message: string): Answer {
  if (/not found|no such native application/i.test(message)) {
    return noProgram("It is not installed for this browser. Install it.");
  }
  if (/forbidden|failed to start|access/i.test(message)) {
    return noProgram("The browser can't start it. Install it again.");
  }
  return noProgram(
    "It ended before it answered. Try again, and if that doesn't help, install it again.",
  );
}

function noProgram(why: string): Answer {
  return failure("no_program", `The browser helper can't use its program. ${why}`);
}

function misunderstood(): Failure {
  return new Failure(
    noProgram("Its answer can't be read; it may have a different version. Install it again."),
  );
}

function failure(reason: HelperReason | undefined, message: string): Answer {
  return { error: { ...(reason && { reason }), message } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
