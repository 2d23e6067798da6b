// WebKit, as WebKitGTK's small browser, over WebDriver. It needs a display.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { type Engine, type EnginePage, keys, result, source } from "./engine.js";

/** One start in twenty hangs; it is ended after this long, and made again. */
const START_MS = 30_000;

export async function webkit(): Promise<Engine> {
  const open: EnginePage[] = [];
  return {
    async open() {
      const page = await openPage();
      open.push(page);
      return page;
    },
    async close() {
      await Promise.all(open.splice(0).map((page) => page.close()));
    },
  };
}

/** Each page has a browser and a driver of its own, as a driver has one session. */
async function openPage(attempts = 3): Promise<EnginePage> {
  const port = await freePort();
  const child = spawn(process.env.WEBKIT_DRIVER ?? "WebKitWebDriver", [`--port=${port}`], {
    stdio: "ignore",
    detached: true, // so that the browser can be ended with it
  });
  const kill = (): void => {
    try {
      if (child.pid) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  process.once("exit", kill);
  const closed = once(child, "close");
  const end = async (): Promise<void> => {
    kill();
    await closed;
    process.off("exit", kill);
  };
  const call = (path: string, body: object, timeout = 120_000) =>
    request(`http://127.0.0.1:${port}/session${path}`, body, timeout);
  let session: string;
  try {
    await listens(port);
    const capabilities = { alwaysMatch: { timeouts: { script: 110_000 } } };
    session = `/${(await call("", { capabilities }, START_MS)).sessionId}`;
  } catch (error) {
    await end();
    if (attempts > 1) return openPage(attempts - 1);
    throw error;
  }
  const press = async (characters: Iterable<string>): Promise<void> => {
    const actions = [...characters].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await call(`${session}/actions`, { actions: [{ type: "key", id: "keyboard", actions }] });
  };
  return {
    goto: async (url) => {
      await call(`${session}/url`, { url });
    },
    evaluate: async <A, R>(run: (argument: A) => R | Promise<R>, argument?: A): Promise<R> => {
      const script = `${source(run, argument)}.then(arguments[0])`;
      return result(String(await call(`${session}/execute/async`, { script, args: [] })));
    },
    type: press,
    press: (key) => press([keys[key]]),
    close: end,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: what a command returns is its own
async function request(url: string, body: object, timeout: number): Promise<any> {
  const signal = AbortSignal.timeout(timeout);
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), signal });
  const { value } = (await response.json()) as { value: unknown };
  if (!response.ok) throw new Error(`WebKit: ${JSON.stringify(value)}`);
  return value;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until the driver answers. */
async function listens(port: number): Promise<void> {
  for (const end = Date.now() + START_MS; ; ) {
    try {
      await fetch(`http://127.0.0.1:${port}/status`);
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
