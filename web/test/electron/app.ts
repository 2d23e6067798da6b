// An Electron app as the tests run it: in a real Electron if there is one,
// and otherwise in a stand-in with the same boundaries. There, the main process is a Node
// process with a module `electron` of ours, and a window a page in Chromium.
// What differs: an app's own scheme is served over http on a host of its own
// below localhost, and fuses and asar archives have no effect.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { _electron, type Browser, type BrowserContext, type Page } from "playwright-core";
import { type LocalServer, listen } from "../../static-server.js";
import { launchBrowser } from "../helpers/browser.js";
import type { FromMain, ToMain } from "./messages.js";
import { StandInWindow, type Surroundings } from "./windows.js";

/** Where a stand-in serves an app's own scheme. */
export interface Site {
  server: LocalServer;
  /** What the browser sends as Origin for a page of the app's scheme. */
  originOf(origin: string): string;
  /** Translates an address of the app into the browser's, and back. */
  toBrowser(url: string): string;
  toApp(url: string): string;
  /** The browser that all stand-ins share. They differ only in their profiles. */
  browser(fileModules?: boolean): Promise<Browser>;
  close(): Promise<void>;
}

/** Opens a place for one app at a time. */
export async function openSite(): Promise<Site> {
  const server = await listen();
  const { port } = new URL(server.origin);
  let browser: Promise<Browser> | undefined;
  // `app://my-app/x` is served as `http://my-app.app.localhost:port/x`.
  const served = new RegExp(`^http://([^/:]+)\\.([^./:]+)\\.localhost:${port}(.*)$`);
  const toBrowser = (url: string): string => {
    const { protocol, host, pathname, search, hash } = new URL(url);
    if (/^(https?|file|about|data|blob):$/.test(protocol)) return url;
    const path = `${pathname || "/"}${search}${hash}`;
    return `http://${host}.${protocol.slice(0, -1)}.localhost:${port}${path}`;
  };
  return {
    server,
    toBrowser,
    toApp: (url) => url.replace(served, "$2://$1$3"),
    originOf: (origin) => (electronPath ? origin : new URL(toBrowser(origin)).origin),
    browser: (fileModules) => {
      // One process for all frames of a page, so that one session sees them all.
      browser ??= launchBrowser([
        "--disable-features=IsolateOrigins,site-per-process",
        "--disable-site-isolation-trials",
        ...(fileModules ? ["--allow-file-access-from-files"] : []),
      ]);
      return browser;
    },
    async close() {
      await (await browser)?.close();
      await server.close();
    },
  };
}

export interface AppOptions {
  site: Site;
  /** The folder with the app's package.json. */
  folder: string;
  userData: string;
  env?: Record<string, string>;
  /** Lets pages under `file://` load modules, as Electron does unless a fuse forbids it. */
  fileModules?: boolean;
}

export interface RunningApp {
  /** The process id of the main process. */
  pid: number;
  /** The nth window, as soon as it is open. */
  window(index?: number): Promise<Page>;
  /** What the main process wrote. */
  output(): string;
  /** Resolves with the first line of output that matches. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Quits the app, as its user would. */
  quit(): Promise<void>;
}

/** The path of a real Electron, if there is one. */
function findElectron(): string | undefined {
  if (process.env.ELECTRON_PATH) return process.env.ELECTRON_PATH;
  const folder = dirname(createRequire(import.meta.url).resolve("electron/package.json"));
  const name = join(folder, "path.txt");
  if (!existsSync(name)) return undefined;
  const path = join(folder, "dist", readFileSync(name, "utf8"));
  return existsSync(path) ? path : undefined;
}

export const electronPath = findElectron();

/** Which of the two the tests run in, for the tests' names. */
export const runsIn = electronPath
  ? `in Electron (${electronPath})`
  : "on the stand-in for Electron, as no Electron is installed";

export function launch(options: AppOptions): Promise<RunningApp> {
  return electronPath ? launchElectron(electronPath, options) : StandInApp.launch(options);
}

/** Collects the output of a process. */
class Output {
  text = "";
  readonly #process: ChildProcess;

  constructor(process: ChildProcess) {
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.text += text;
        process.emit("said");
      });
    }
  }

  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match) return match;
      if (this.#process.exitCode !== null) {
        throw new Error(`the app ended without ${pattern}:\n${this.text}`);
      }
      await Promise.race([once(this.#process, "said"), once(this.#process, "exit")]);
    }
  }
}

async function launchElectron(path: string, options: AppOptions): Promise<RunningApp> {
  const app = await _electron.launch({
    executablePath: path,
    args: [
      options.folder,
      `--user-data-dir=${options.userData}`,
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ],
    env: { ...(process.env as Record<string, string>), ...options.env },
  });
  const output = new Output(app.process());
  return {
    pid: app.process().pid as number,
    async window(index = 0) {
      while (app.windows().length <= index) await app.waitForEvent("window");
      return app.windows()[index] as Page;
    },
    output: () => output.text,
    said: (pattern) => output.said(pattern),
    quit: () => app.close(),
  };
}

class StandInApp implements RunningApp {
  readonly #context: BrowserContext;
  readonly #site: Site;
  readonly #main: ChildProcess;
  readonly #output: Output;
  readonly #windows = new Map<number, StandInWindow>();
  readonly #order: Page[] = [];
  readonly #waiting = new Map<
    number,
    { resolve(answer: FromMain): void; reject(error: Error): void }
  >();
  #lastCall = 0;
  #ending = false;

  private constructor(context: BrowserContext, site: Site, main: ChildProcess) {
    this.#context = context;
    this.#site = site;
    this.#main = main;
    this.#output = new Output(main);
    main.on("message", (message) => this.#unlessEnding(this.#receive(message as FromMain)));
    main.once("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the app has ended"));
    });
    site.server.handle(async (request, response) => {
      const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
        name,
        String(value),
      ]);
      const url = this.#site.toApp(`http://${request.headers.host}${request.url}`);
      const question = { type: "request", url, method: request.method ?? "", headers } as const;
      const answer = await this.#ask(question).catch(() => undefined); // the app has ended
      if (answer?.type !== "response") return void response.writeHead(503).end();
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(answer.body);
    });
  }

  static async launch({
    folder,
    userData,
    env,
    site,
    fileModules,
  }: AppOptions): Promise<StandInApp> {
    const { main } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const context = await (await site.browser(fileModules)).newContext();
    const register = new URL("./register.js", import.meta.url).href;
    const child = fork(join(folder, main), {
      execArgv: ["--import", register],
      env: { ...process.env, ...env, STAND_IN_USER_DATA: userData, STAND_IN_APP_PATH: folder },
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const app = new StandInApp(context, site, child);
    context.on("page", (page) => app.#unlessEnding(app.#popup(page)));
    child.send({ type: "ready" } satisfies ToMain);
    return app;
  }

  get pid(): number {
    return this.#main.pid as number;
  }

  async window(index = 0): Promise<Page> {
    for (;;) {
      const page = this.#order[index];
      if (page) return page;
      if (this.#main.exitCode !== null) throw new Error(`the app ended:\n${this.output()}`);
      await Promise.race([once(this.#main, "window"), once(this.#main, "exit")]);
    }
  }

  output(): string {
    return this.#output.text;
  }

  said(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#output.said(pattern);
  }

  /** Makes pending calls fail when the app ends, and only then. */
  #unlessEnding(work: Promise<unknown>): void {
    work.catch((error) => {
      if (!this.#ending) throw error;
    });
  }

  async quit(): Promise<void> {
    this.#ending = true;
    if (this.#main.exitCode === null && this.#main.signalCode === null) {
      const exited = once(this.#main, "exit");
      this.#main.send({ type: "quit" } satisfies ToMain);
      await exited;
    }
    await this.#context.close();
  }

  async #receive(message: FromMain): Promise<void> {
    switch (message.type) {
      case "open":
        return this.#open(message);
      case "close":
        return this.#windows.get(message.window)?.page.close();
      case "send":
        return this.#windows
          .get(message.window)
          ?.send(message.frame, message.channel, message.args);
      default:
        this.#waiting.get(message.call)?.resolve(message);
        this.#waiting.delete(message.call);
    }
  }

  #ask(question: DistributiveOmit<Extract<ToMain, { call: number }>, "call">): Promise<FromMain> {
    const call = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      this.#main.send({ ...question, call } as ToMain, (error) => error && reject(error));
    });
  }

  async #open(message: Extract<FromMain, { type: "open" }>): Promise<void> {
    const { window: number, preferences, preloads } = message;
    const url = this.#site.toBrowser(message.url);
    let window = this.#windows.get(number);
    if (!window) {
      const page = await this.#context.newPage();
      window = await this.#add(number, page, preferences, preloads);
    }
    const error = await window.show(url);
    this.#tell({
      type: "loaded",
      window: number,
      frame: window.mainFrame,
      ...(error && { error }),
    });
  }

  /** A window that a page has opened. */
  async #popup(page: Page): Promise<void> {
    const opener = await page.opener();
    const number = opener ? this.#numberOf(opener) : undefined;
    if (number === undefined) return;
    // The browser knows who opened it, but the page itself may not. It may be navigating.
    const isHidden = (): Promise<boolean> => page.evaluate(() => window.opener === null);
    const answer = await this.#ask({
      type: "opened",
      by: number,
      hidden: await isHidden().catch(isHidden),
      url: this.#site.toApp(page.url()),
    });
    if (answer.type !== "answer" || !answer.allowed || answer.window === undefined) {
      return page.close();
    }
    const { preferences, preloads } = this.#windows.get(number) as StandInWindow;
    await this.#add(answer.window, page, preferences, preloads);
  }

  async #add(
    number: number,
    page: Page,
    preferences: StandInWindow["preferences"],
    preloads: string[],
  ): Promise<StandInWindow> {
    const around: Surroundings = {
      invoke: async (frame, channel, args) => {
        const reply = await this.#ask({ type: "invoke", window: number, frame, channel, args });
        if (reply.type !== "reply" || reply.error !== undefined) {
          throw new Error(reply.type === "reply" ? reply.error : "no reply");
        }
        return reply.value;
      },
      mayNavigate: async (url) => {
        const asked = this.#ask({ type: "navigates", window: number, url });
        const answer = await asked.catch(() => undefined); // the app has ended
        return answer?.type === "answer" && answer.allowed;
      },
      translate: this.#site.toApp,
    };
    const window = await StandInWindow.of(page, { preferences, preloads }, around);
    this.#windows.set(number, window);
    this.#order.push(page);
    page.on("close", () => this.#tell({ type: "closed", window: number }));
    this.#main.emit("window");
    return window;
  }

  #numberOf(page: Page): number | undefined {
    for (const [number, window] of this.#windows) if (window.page === page) return number;
    return undefined;
  }

  #tell(message: ToMain): void {
    if (this.#main.connected) this.#main.send(message);
  }
}

type DistributiveOmit<Type, Key extends keyof Type> = Type extends unknown
  ? Omit<Type, Key>
  : never;

/** The built package's folder. */
export const packageFolder = dirname(
  fileURLToPath(new URL("../package.json", import.meta.resolve("whop-license"))),
);
