// WebKit, in WebKitGTK's MiniBrowser, over WebDriver. It needs a display.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { freePort } from "../helpers/port.js";
import { type Driver, leave } from "./driver.js";
import type { Browser, Context, ContextOptions } from "./engine.js";
import { bundleInside, DriverPage } from "./page.js";

/** One start in twenty hangs. It is ended after this many milliseconds, and repeated. */
const START_MS = 30_000;

/** Contexts with the same appearance share a browser in turns, because a start takes longer than most tests. */
export async function webkit(): Promise<Browser> {
  const inside = await bundleInside();
  const idle: Session[] = [];
  const all: Session[] = [];

  async function take({ look, size }: Wanted): Promise<Session> {
    const found = idle.findIndex((session) => isDeepStrictEqual(session.look, look));
    const [session] = found < 0 ? [] : idle.splice(found, 1);
    const taken = session ?? (await Session.start(look));
    if (!session) all.push(taken);
    await taken.call("/window/rect", size);
    return taken;
  }

  async function newContext(options: ContextOptions = {}): Promise<Context> {
    const session = await take(wantedBy(options));
    const pages: DriverPage[] = [];
    const context: Context = {
      async newPage() {
        const handle = pages.length === 0 ? session.first : await session.newWindow();
        const page = new DriverPage(drive(session, handle), context, inside);
        await page.prepare();
        pages.push(page);
        return page;
      },
      async setOffline() {
        throw new Error("WebKit's driver can't cut it off from the network");
      },
      async close() {
        for (const page of pages) await page.close();
        idle.push(session);
      },
    };
    return context;
  }

  return {
    newContext,
    newPage: async (options) => (await newContext(options)).newPage(),
    async close() {
      await Promise.all(all.map((session) => session.end()));
    },
  };
}

/** GTK settings, which apply to a whole browser. */
interface Look {
  theme: string;
  animations: 0 | 1;
}

interface Wanted {
  look: Look;
  size: { width: number; height: number };
}

function wantedBy({ colorScheme, forcedColors, reducedMotion, viewport }: ContextOptions): Wanted {
  if (forcedColors) throw new Error("WebKit has no forced colors");
  return {
    look: {
      theme: colorScheme === "dark" ? "Adwaita:dark" : "Adwaita",
      animations: reducedMotion ? 0 : 1,
    },
    size: viewport ?? { width: 1280, height: 720 },
  };
}

function drive(session: Session, handle: string): Driver {
  const call = (path: string, body: object): Promise<unknown> => session.call(path, body, handle);
  return {
    async navigate(url) {
      await call("/url", { url });
    },
    async reload() {
      await call("/refresh", {});
    },
    async evaluate(expression) {
      const script = `${expression}.then(arguments[0])`;
      return String(await call("/execute/async", { script, args: [] }));
    },
    async perform(actions) {
      await call("/actions", { actions });
    },
    addInitScript: async () => false,
    async resize(width, height) {
      await call("/window/rect", { width, height });
    },
    /** Clears everything before the next page of this browser. */
    async close() {
      const script = `${leave}.then(arguments[0])`;
      await call("/execute/async", { script, args: [] });
      await call("/url", { url: "about:blank" });
      if (handle !== session.first) await session.closeWindow(handle);
    },
  };
}

/** A browser with its driver, which has one session. */
class Session {
  readonly look: Look;
  readonly first: string;
  readonly end: () => Promise<void>;
  readonly #url: string;
  #current: string;
  /** A command goes to the window that was selected before it, so commands run one at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(look: Look, url: string, first: string, end: () => Promise<void>) {
    this.look = look;
    this.first = first;
    this.end = end;
    this.#url = url;
    this.#current = first;
  }

  static async start(look: Look, attempts = 3): Promise<Session> {
    const settings = await settingsFolder(look);
    const port = await freePort();
    const child = spawn(process.env.WEBKIT_DRIVER ?? "WebKitWebDriver", [`--port=${port}`], {
      stdio: "ignore",
      env: {
        ...process.env,
        XDG_CONFIG_HOME: settings,
        GTK_THEME: look.theme,
        WEBKIT_DISABLE_COMPOSITING_MODE: "1", // without a graphics card, the processor would do it
      },
      detached: true, // so that the browser can be ended with it
    });
    const kill = (): void => {
      try {
        if (child.pid) process.kill(-child.pid, "SIGKILL");
      } catch {
        // The driver has exited.
      }
    };
    process.once("exit", kill);
    const closed = once(child, "close");
    const end = async (): Promise<void> => {
      kill();
      await closed;
      process.off("exit", kill);
      // The browser's processes may be writing until each of them is gone.
      await rm(settings, { recursive: true, force: true, maxRetries: 5 });
    };
    try {
      const driver = `http://127.0.0.1:${port}/session`;
      await listens(port);
      // The browser would use the page's own timers for its timeout, which a test may replace.
      const capabilities = { alwaysMatch: { timeouts: { script: null } } };
      const { sessionId } = await post(driver, { capabilities }, START_MS);
      const url = `${driver}/${sessionId}`;
      const { value } = (await (await fetch(`${url}/window`)).json()) as { value: string };
      return new Session(look, url, value, end);
    } catch (error) {
      await end();
      if (attempts > 1) return Session.start(look, attempts - 1);
      throw error;
    }
  }

  /** Sends a command to a window, after the previous one. */
  call(path: string, body: object, handle = this.first): Promise<unknown> {
    const call = this.#turn.then(async () => {
      if (this.#current !== handle) {
        await post(`${this.#url}/window`, { handle }, 120_000);
        this.#current = handle;
      }
      return post(this.#url + path, body, 120_000);
    });
    this.#turn = call.catch(() => {});
    return call;
  }

  async newWindow(): Promise<string> {
    const { handle } = (await this.call("/window/new", { type: "tab" })) as { handle: string };
    return handle;
  }

  async closeWindow(handle: string): Promise<void> {
    await this.call("/execute/sync", { script: "", args: [] }, handle);
    await fetch(`${this.#url}/window`, { method: "DELETE" });
    this.#current = "";
  }
}

async function settingsFolder({ animations }: Look): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "whop-license-webkit-"));
  await mkdir(join(folder, "gtk-3.0"));
  const text = `[Settings]\ngtk-enable-animations=${animations}\n`;
  await writeFile(join(folder, "gtk-3.0/settings.ini"), text);
  return folder;
}

// biome-ignore lint/suspicious/noExplicitAny: what a command returns is its own
async function post(url: string, body: object, timeout: number): Promise<any> {
  const signal = AbortSignal.timeout(timeout);
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), signal });
  const { value } = (await response.json()) as { value: unknown };
  if (!response.ok) throw new Error(`WebKit: ${JSON.stringify(value)}`);
  return value;
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
