import { type LicenseError, loadFailed } from "../errors.js";
import { type Fetch, Reach } from "./reach.js";
import { defineGo, type Go, type GoScope } from "./runtime.js";
import { instantiate } from "./source.js";

const CONSOLE_HINT = "The console may say why.";

/** What the program uses in place of members of the global object. */
export interface StandIns {
  crypto?: object | undefined;
  fetch?: object | undefined;
  TextDecoder?: object | undefined;
  TextEncoder?: object | undefined;
}

/** A Go program, which may stop at any time. Calls that wait for it then reject. */
export class GoProgram {
  readonly #scope: GoScope;
  readonly #go: Go;
  readonly #onStop: () => void;
  readonly #inFlight = new Set<(reason: unknown) => void>();
  #ran: Promise<void> = Promise.resolve();
  #stopped: { cause?: unknown } | undefined;

  /** `onStop` is called once. */
  constructor(env: Record<string, string>, onStop: () => void, standIns: StandIns) {
    const scope: object = shadowGlobal(standIns);
    defineGo(scope);
    scope.fs.writeSync = toConsole(scope.TextDecoder as typeof TextDecoder);
    this.#scope = scope;
    this.#go = new scope.Go();
    this.#go.env = env;
    this.#go.exit = () => this.#stop();
    this.#onStop = onStop;
    this.#catchResume();
  }

  /** After the program has ended, Go's own `_resume` throws inside the next event, such as the answer of a fetch, where nobody could catch it. */
  #catchResume(): void {
    const go = this.#go;
    const resume = go._resume;
    go._resume = () => {
      if (this.#stopped) return;
      try {
        resume.call(go);
      } catch (cause) {
        this.#stop({ cause });
      }
    };
  }

  /** Starts the program, and resolves with the function that it sets on its global object. */
  async start(compiled: WebAssembly.Module, name: string): Promise<object> {
    const instance = await instantiate(compiled, this.#go.importObject);
    this.#ran = this.#go.run(instance).then(
      () => this.#stop(),
      (cause: unknown) => this.#stop({ cause }),
    );
    const set = this.#scope[name];
    if (typeof set === "function" && !this.#stopped) return set;
    // A failed start is known only after one turn of the event loop.
    await Promise.race([this.#ran, Promise.resolve()]);
    throw loadFailed(
      "The WebAssembly module is not that of whop-license, or it ended right after it was started. " +
        `Check the \`wasm\` option. ${CONSOLE_HINT}`,
      this.#stopped,
    );
  }

  /** Calls a synchronous function of the program. */
  call(f: object, args: unknown[]): unknown {
    if (this.#stopped) throw hasStopped(this.#stopped);
    const result: unknown = Reflect.apply(f as () => unknown, undefined, args);
    if (this.#stopped) throw hasStopped(this.#stopped);
    return result;
  }

  /** Calls a function of the program that returns a promise, and waits for it. */
  async ask(f: object, args: unknown[]): Promise<unknown> {
    if (this.#stopped) throw hasStopped(this.#stopped);
    let reject: (reason: unknown) => void = () => {};
    try {
      return await new Promise((resolve, rejected) => {
        reject = rejected;
        this.#inFlight.add(reject);
        const answer = Reflect.apply(f as () => Promise<unknown>, undefined, args);
        answer.then(resolve, reject);
      });
    } catch (thrown) {
      throw this.#stopped ? hasStopped(this.#stopped) : thrown;
    } finally {
      this.#inFlight.delete(reject);
    }
  }

  get hasStopped(): boolean {
    return this.#stopped !== undefined;
  }

  #stop(details: { cause?: unknown } = {}): void {
    if (this.#stopped) return;
    this.#stopped = details;
    const timers = this.#go._scheduledTimeouts;
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
    for (const reject of this.#inFlight) reject(hasStopped(details));
    this.#onStop();
  }
}

function hasStopped(details: { cause?: unknown }): LicenseError {
  return loadFailed(
    `The license module has stopped, which says nothing about the license. Load it again. ${CONSOLE_HINT}`,
    { ...details, retryable: true },
  );
}

// The globals that the module and Go's support code look up by name. Each access
// reads the real global object, so that a replaced fetch counts. The functions are
// called on it, because a browser's refuse another `this`.
const LOOKED_UP = [
  ...["Object", "Array", "String", "Reflect", "Promise", "Error", "Uint8Array", "JSON", "Date"],
  ...["Math", "AbortController", "setTimeout", "clearTimeout", "window", "document"],
  ...["WorkerGlobalScope", "URL", "crypto", "performance", "TextEncoder", "TextDecoder"],
];

/** An object in place of the global one, so that what the Go program sets doesn't leak into the page. */
function shadowGlobal(standIns: StandIns): object {
  for (const name of ["crypto", "TextDecoder", "TextEncoder"] as const) {
    if (standIns[name] ?? globalThis[name]) continue;
    throw loadFailed(
      `There is no \`${name}\` here, which the license check needs. Update the browser or runtime.`,
    );
  }
  const scope = Object.create(null);
  const lookUp = (name: string): unknown =>
    Reflect.get(standIns, name) ?? Reflect.get(globalThis, name);
  for (const name of LOOKED_UP) Object.defineProperty(scope, name, { get: () => lookUp(name) });
  const reach = new Reach();
  Object.defineProperty(scope, "fetch", {
    get: () => {
      const fetch = lookUp("fetch");
      return typeof fetch === "function" ? reach.explaining(fetch as Fetch) : fetch;
    },
  });
  return scope;
}

/** Writes the output of a panic in the Go runtime to the console, and not to the app's output. */
function toConsole(Decoder: typeof TextDecoder): (fd: number, bytes: Uint8Array) => number {
  const decoder = new Decoder();
  let text = "";
  return (_fd, bytes) => {
    text += decoder.decode(bytes, { stream: true });
    const end = text.lastIndexOf("\n");
    if (end >= 0) {
      console.error(text.slice(0, end));
      text = text.slice(end + 1);
    }
    return bytes.length;
  };
}
