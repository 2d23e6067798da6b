// Firefox, over WebDriver BiDi, for which it needs no driver.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Engine, keys, result, source } from "./engine.js";

/** A Firefox that was started, with its throw-away profile. */
export interface StartedFirefox {
  bidi: Bidi;
  close(): Promise<void>;
}

/** Starts Firefox, headless, and a session in it. */
export async function startFirefox(
  env: Record<string, string | undefined> = process.env,
): Promise<StartedFirefox> {
  const profile = await mkdtemp(join(tmpdir(), "whop-license-firefox-"));
  const child = spawn(
    process.env.FIREFOX ?? "firefox-esr",
    ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"],
    { stdio: ["ignore", "ignore", "pipe"], env },
  );
  const kill = (): boolean => child.kill("SIGKILL");
  process.once("exit", kill);
  const bidi = await Bidi.connect(`${await address(child)}/session`);
  await bidi.send("session.new", { capabilities: { alwaysMatch: {} } });
  return {
    bidi,
    async close() {
      const closed = once(child, "close");
      kill();
      await closed;
      process.off("exit", kill);
      await rm(profile, { recursive: true, force: true });
    },
  };
}

export async function firefox(): Promise<Engine> {
  const { bidi, close } = await startFirefox();
  return {
    close,
    async open() {
      const { userContext } = await bidi.send("browser.createUserContext", {});
      const { context } = await bidi.send("browsingContext.create", { type: "tab", userContext });
      const press = async (characters: Iterable<string>): Promise<void> => {
        const actions = [...characters].flatMap((value) => [
          { type: "keyDown", value },
          { type: "keyUp", value },
        ]);
        const keyboard = { type: "key", id: "keyboard", actions };
        await bidi.send("input.performActions", { context, actions: [keyboard] });
      };
      return {
        goto: async (url) => {
          await bidi.send("browsingContext.navigate", { context, url, wait: "complete" });
        },
        evaluate: async <A, R>(run: (argument: A) => R | Promise<R>, argument?: A): Promise<R> => {
          const { result: remote, exceptionDetails } = await bidi.send("script.evaluate", {
            expression: source(run, argument),
            target: { context },
            awaitPromise: true,
          });
          if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
          return result((remote as { value: string }).value);
        },
        type: press,
        press: (key) => press([keys[key]]),
        close: async () => {
          await bidi.send("browser.removeUserContext", { userContext });
        },
      };
    },
  };
}

/** The address that Firefox says it listens on. */
async function address(child: ChildProcess): Promise<string> {
  let log = "";
  if (!child.stderr) throw new Error("no stderr");
  for await (const line of createInterface(child.stderr)) {
    const [, found] = /WebDriver BiDi listening on (\S+)/.exec(line) ?? [];
    if (found) {
      child.stderr.resume();
      return found;
    }
    log += `${line}\n`;
  }
  throw new Error(`Firefox ended before it listened\n${log}`);
}

type Answer = Record<string, unknown>;

/** A connection that takes commands. It needs the WebSocket that Node has from 22 on. */
export class Bidi {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Answer) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as Answer;
      this.#waiting.get(message.id as number)?.(message);
      this.#waiting.delete(message.id as number);
    });
    socket.addEventListener("close", () => {
      for (const answer of this.#waiting.values()) answer({ type: "error", message: "closed" });
    });
  }

  static async connect(url: string): Promise<Bidi> {
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`no connection to ${url}`)));
    });
    return new Bidi(socket);
  }

  async send(method: string, params: object): Promise<Answer> {
    const id = ++this.#lastId;
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
    if (answer.type === "error") throw new Error(`${method}: ${answer.error} ${answer.message}`);
    return answer.result as Answer;
  }
}
