// Firefox, over WebDriver BiDi, which needs no separate driver.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Bidi } from "./bidi.js";
import { type Driver, leave } from "./driver.js";
import type { Browser, Context, ContextOptions } from "./engine.js";
import { bundleInside, DriverPage } from "./page.js";

type Preferences = Record<string, number | boolean>;

/** Firefox applies appearance settings to all its pages. */
function preferences({ colorScheme, forcedColors, reducedMotion }: ContextOptions): Preferences {
  return {
    "ui.systemUsesDarkTheme": colorScheme === "dark" ? 1 : 0,
    "ui.prefersReducedMotion": reducedMotion ? 1 : 0,
    "browser.display.document_color_use": forcedColors ? 2 : 0,
    // One process for all pages, as a start of each takes more than most tests.
    "fission.autostart": false,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": false,
  };
}

/** Starts one Firefox for each appearance that a test requests. Contexts with the same appearance share a tab in turns, because a new one takes longer than most tests. */
export async function firefox(): Promise<Browser> {
  const inside = await bundleInside();
  const running = new Map<string, { started: Promise<Running>; idle: Tab[] }>();
  const newContext = async (options: ContextOptions = {}): Promise<Context> => {
    const wanted = preferences(options);
    const name = JSON.stringify(wanted);
    const of = running.get(name) ?? { started: start(wanted), idle: [] };
    running.set(name, of);
    const { bidi } = await of.started;
    const first = of.idle.pop() ?? (await newTab(bidi));
    return openContext(first, options, inside, () => of.idle.push(first));
  };
  return {
    newContext,
    newPage: async (options) => (await newContext(options)).newPage(),
    async close() {
      for (const { started } of running.values()) await (await started).end();
    },
  };
}

/** A tab, with its own storage or that of another tab. */
interface Tab {
  bidi: Bidi;
  context: string;
  userContext: string;
}

async function newTab(bidi: Bidi, storage?: string): Promise<Tab> {
  const userContext =
    storage ?? String((await bidi.send("browser.createUserContext", {})).userContext);
  const { context } = await bidi.send("browsingContext.create", { type: "tab", userContext });
  return { bidi, context: String(context), userContext };
}

/** A running Firefox, with its throwaway profile. */
export interface Running {
  bidi: Bidi;
  end(): Promise<void>;
}

/** Starts Firefox, headless, and a session in it. */
export async function start(wanted: Preferences, env = process.env): Promise<Running> {
  const profile = await mkdtemp(join(tmpdir(), "whop-license-firefox-"));
  const lines = Object.entries(wanted).map(([name, value]) => `user_pref("${name}", ${value});\n`);
  await writeFile(join(profile, "user.js"), lines.join(""));
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
    async end() {
      const closed = once(child, "close");
      kill();
      await closed;
      process.off("exit", kill);
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** The address that Firefox prints. */
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

function openContext(
  first: Tab,
  options: ContextOptions,
  inside: string,
  free: () => void,
): Context {
  const { bidi, userContext } = first;
  const pages: DriverPage[] = [];
  const emulate = (networkConditions: object | null) =>
    bidi.send("emulation.setNetworkConditions", { networkConditions, userContexts: [userContext] });
  let wasOffline = false;
  const context: Context = {
    async newPage() {
      const tab = pages.length === 0 ? first : await newTab(bidi, userContext);
      const driver = drive(tab, tab === first);
      await bidi.send("browsingContext.activate", { context: tab.context });
      const { width, height } = options.viewport ?? { width: 1280, height: 720 };
      await driver.resize(width, height);
      const page = new DriverPage(driver, context, inside);
      await page.prepare();
      pages.push(page);
      return page;
    },
    async setOffline(offline) {
      wasOffline ||= offline;
      await emulate(offline ? { type: "offline" } : null);
    },
    async close() {
      for (const page of pages) await page.close();
      if (wasOffline) await emulate(null);
      free();
    },
  };
  return context;
}

function drive({ bidi, context }: Tab, isKept: boolean): Driver {
  const scripts: string[] = [];
  const driver: Driver = {
    async navigate(url) {
      await bidi.send("browsingContext.navigate", { context, url, wait: "complete" });
    },
    async reload() {
      await bidi.send("browsingContext.reload", { context, wait: "complete" });
    },
    async evaluate(expression) {
      const { result, exceptionDetails } = await bidi.send("script.evaluate", {
        ...{ expression, awaitPromise: true },
        target: { context },
      });
      if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
      return (result as { value: string }).value;
    },
    async perform(actions) {
      await bidi.send("input.performActions", { context, actions });
    },
    async addInitScript(script) {
      const functionDeclaration = `() => { ${script} }`;
      const added = await bidi.send("script.addPreloadScript", {
        ...{ functionDeclaration, contexts: [context] },
      });
      scripts.push(String(added.script));
      return true;
    },
    async resize(width, height) {
      await bidi.send("browsingContext.setViewport", { context, viewport: { width, height } });
    },
    async close() {
      for (const script of scripts) await bidi.send("script.removePreloadScript", { script });
      await driver.evaluate(leave);
      if (isKept) await driver.navigate("about:blank");
      else await bidi.send("browsingContext.close", { context });
    },
  };
  return driver;
}
