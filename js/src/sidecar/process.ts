import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync } from "node:fs";
import type { Socket } from "node:net";
import { LicenseError, loadFailed, textOf } from "../errors.js";
import { VERSION } from "../version.js";
import { fileDigest } from "./digest.js";
import { encodeFrame, frameReader } from "./frames.js";
import { mayStartLater, notStarted, type SidecarProgram } from "./program.js";

const NAME = "whop-license-sidecar";
const PROTOCOL = 1;

const MAX_PROGRAM_SIZE = 64 * 1024 * 1024; // a signed program has a few MB

/** An error in an answer of the sidecar. */
export class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (reason: unknown) => void;
}

/**
 * One running sidecar and the requests that it has not answered. It never keeps
 * this process alive; a caller that waits for an answer does that with a timer.
 */
export class SidecarProcess {
  /** Resolves once the sidecar has shown that it is the right program and version. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEnd: () => void;
  readonly #path: string;
  #greeted = false;
  #lastId = 0;
  #ended: LicenseError | undefined;

  /** Starts the program. `onEnd` is called once, when it can't answer anymore. */
  constructor(program: SidecarProgram, onEnd: () => void) {
    const { path, digest } = program;
    this.#path = path;
    this.#onEnd = onEnd;
    let file: number | undefined;
    try {
      // Opened before the program runs, as it could replace its own file.
      if (digest !== undefined) file = openSync(path, "r");
      this.#child = spawn(path, [], { stdio: ["pipe", "pipe", "inherit"], windowsHide: true });
    } catch (cause) {
      if (file !== undefined) closeSync(file);
      throw notStarted(program, cause);
    }
    const { stdin, stdout } = this.#child;
    this.#child.unref();
    for (const pipe of [stdin, stdout]) (pipe as Socket | null)?.unref?.();
    // Compared while the program starts and answers, as both take equally long. No answer counts until then.
    const greeted = this.#handshake();
    const compared = file === undefined ? Promise.resolve() : compare(file, program);
    // If it is the wrong program, that says more than how it failed.
    const failed = (reason: LicenseError) => {
      compared.then(
        () => this.stop(reason),
        (other) => this.stop(other),
      );
    };
    this.#child.on("error", (cause) => failed(notStarted(program, cause)));
    this.#child.on("close", (code, signal) => {
      const how = `ended before it answered (${signal ?? `exit code ${code}`})`;
      failed(this.#broken(how, undefined, mayStartLater(signal)));
    });
    // After a broken pipe comes "close", which says more.
    stdin?.on("error", () => {});
    const read = frameReader();
    stdout?.on("data", (chunk: Buffer) => {
      try {
        for (const message of read(chunk)) this.#receive(message);
      } catch (cause) {
        stdout.destroy();
        failed(this.#broken(`sent invalid data: ${textOf(cause)}`, cause));
      }
    });
    this.ready = Promise.all([greeted, compared]).then(() => {});
    this.ready.catch((reason) => this.stop(reason));
  }

  /** Sends a request and resolves with its result, which may be anything; rejects with an {@link RpcError} or a LicenseError. */
  request(method: string, params: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin?.write(encodeFrame({ jsonrpc: "2.0", id, method, params }));
    });
  }

  /** Ends the program, and rejects what is in flight. */
  stop(reason: LicenseError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#onEnd();
    this.#child.stdin?.destroy();
    this.#child.stdout?.destroy();
    // A program that could not be started has no pid. kill() would then signal this process's own group.
    if (this.#child.pid !== undefined) this.#child.kill("SIGKILL");
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }

  /** A program that fails before its handshake is not a sidecar, unless it was interrupted. One that fails later may work when it is started again. */
  #broken(how: string, cause?: unknown, wasInterrupted = false): LicenseError {
    const message = `The sidecar ${this.#path} ${how}.`;
    if (!this.#greeted) return loadFailed(message, { cause, retryable: wasInterrupted });
    return new LicenseError("no_machine_id", message, { cause, retryable: true });
  }

  #receive(message: unknown): void {
    if (this.#ended) return;
    const { jsonrpc, id, result, error } = message as Record<string, unknown>;
    if (jsonrpc !== "2.0" || typeof id !== "number" || !(id >= 1 && id <= this.#lastId)) {
      throw new Error("a message that answers no request");
    }
    // Nobody waits for an answer that came too late.
    const waiting = this.#waiting.get(id);
    if (error === undefined) {
      waiting?.resolve(result);
    } else {
      const { code, message: text } = error as Record<string, unknown>;
      if (typeof code !== "number" || typeof text !== "string")
        throw new Error("a malformed error");
      waiting?.reject(new RpcError(code, text));
    }
    this.#waiting.delete(id);
  }

  async #handshake(): Promise<void> {
    let answer: { name?: unknown; version?: unknown; protocol?: unknown } | null | undefined;
    try {
      answer = (await this.request("initialize", { protocol: PROTOCOL })) as typeof answer;
    } catch (cause) {
      if (!(cause instanceof RpcError)) throw cause;
      throw loadFailed(`The sidecar ${this.#path} refused to start: ${cause.message}`, { cause });
    }
    if (answer?.name !== NAME || answer.protocol !== PROTOCOL) {
      throw loadFailed(`The program ${this.#path} is not a ${NAME} of protocol ${PROTOCOL}.`);
    }
    if (answer.version !== VERSION) {
      throw loadFailed(
        `The sidecar ${this.#path} is version ${String(answer.version).slice(0, 40)}, but this package is ` +
          `version ${VERSION}. Ship the sidecar that comes with the package.`,
      );
    }
    this.#greeted = true;
  }
}

async function compare(file: number, program: SidecarProgram): Promise<void> {
  const { path, digest } = program;
  let found: string | undefined;
  try {
    // Read synchronously, as reading on Node's thread pool takes longer than the program's start.
    const stat = fstatSync(file);
    if (stat.isFile() && stat.size <= MAX_PROGRAM_SIZE) found = fileDigest(file, stat.size);
  } catch (cause) {
    throw notStarted(program, cause);
  } finally {
    closeSync(file);
  }
  if (found === digest) return;
  throw loadFailed(
    `The sidecar ${path} is not the program that this package was published with. Install the package again; ` +
      "to use a program of your own, give its path in the `path` option or in WHOP_LICENSE_SIDECAR.",
  );
}
