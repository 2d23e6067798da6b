// Firefox, over WebDriver BiDi, for which it needs no driver.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Bidi } from "./bidi.js";
import type { Driver } from "./driver.js";
import type { Browser, Context, ContextOptions } from "./engine.js";
import { bundleInside, DriverPage } from "./page.js";

type Preferences = Record<string, number | boolean>;

/** Firefox has looks for all of its pages at once. */
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

/** Starts one for each look that a test asks for. */
export async function firefox(): Promise<Browser> {
  const inside = await bundleInside();
  const running = new Map<string, Promise<Running>>();
  const newContext = async (options: ContextOptions = {}): Promise<Context> => {
    const wanted = preferences(options);
    const name = JSON.stringify(wanted);
    const started = running.get(name) ?? start(wanted);
    running.set(name, started);
    return openContext((await started).bidi, options, inside);
  };
  return {
    newContext,
    newPage: async (options) => (await newContext(options)).newPage(),
    async close() {
      for (const started of running.values()) await (await started).end();
    },
  };
}

/** A Firefox that was started, with its throw-away profile. */
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

async function openContext(bidi: Bidi, options: ContextOptions, inside: string): Promise<Context> {
  const { userContext } = await bidi.send("browser.createUserContext", {});
  const pages: DriverPage[] = [];
  const context: Context = {
    async newPage() {
      const created = await bidi.send("browsingContext.create", { type: "tab", userContext });
      const driver = drive(bidi, String(created.context));
      const { width, height } = options.viewport ?? { width: 1280, height: 720 };
      await driver.resize(width, height);
      const page = new DriverPage(driver, context, inside);
      await page.prepare();
      pages.push(page);
      return page;
    },
    async setOffline(offline) {
      await bidi.send("emulation.setNetworkConditions", {
        networkConditions: offline ? { type: "offline" } : null,
        userContexts: [userContext],
      });
    },
    async close() {
      for (const page of pages) await page.close();
      await bidi.send("browser.removeUserContext", { userContext });
    },
  };
  return context;
}

function drive(bidi: Bidi, context: string): Driver {
  return {
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
      await bidi.send("script.addPreloadScript", { functionDeclaration, contexts: [context] });
      return true;
    },
    async resize(width, height) {
      await bidi.send("browsingContext.setViewport", { context, viewport: { width, height } });
    },
    async close() {
      await bidi.send("browsingContext.close", { context });
    },
  };
}
