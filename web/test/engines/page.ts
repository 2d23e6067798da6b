// A page as tests use it, on top of a driver.
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { build } from "esbuild";
import type { Step } from "../pages/inside.js";
import { type Complaint, type Driver, literal, result, source } from "./driver.js";
import type { Clock, Context, Keyboard, Locator, Page, Role, RoleOptions } from "./engine.js";
import { click, press, type } from "./keys.js";

/** How long an element may take to appear. */
const PATIENCE_MS = 30_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks again until there is an answer, with growing pauses, because each question costs CPU time. */
async function until<Result>(
  ask: () => Promise<Result | undefined>,
  what: string,
  timeout = PATIENCE_MS,
): Promise<Result> {
  for (let end = Date.now() + timeout, waitMs = 10; ; waitMs = Math.min(100, waitMs * 1.5)) {
    const found = await ask();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`within ${timeout} ms there was no ${what}`);
    await pause(waitMs);
  }
}

/** pages/inside.ts, as an expression. */
export async function bundleInside(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "../pages/inside.js")],
    // Node's own modules, which the script needs only in Node.
    external: ["timers", "util"],
    ...{ bundle: true, write: false, minify: true, logLevel: "error" },
    ...{ format: "iife", globalName: "inside" },
  });
  return `(() => { ${outputFiles[0]?.text}; return inside; })()`;
}

/** Collects a page's errors in the page, for a driver that isn't told. */
const listen = `(() => {
  if (globalThis[Symbol.for("complaints")]) return;
  const list = (globalThis[Symbol.for("complaints")] = []);
  const put = (kind, text) => list.push({ kind, type: "error", text: String(text) });
  addEventListener("error", (event) => event.message && put("pageerror", event.message));
  addEventListener("unhandledrejection", (event) => put("pageerror", event.reason));
  const { error } = console;
  console.error = (...words) => { put("console", words.join(" ")); error(...words); };
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    // The browser requests this one automatically.
    if (!blockedURI.endsWith("/favicon.ico"))
      put("console", violatedDirective + " forbids " + blockedURI);
  });
})()`;

export class DriverPage extends EventEmitter implements Page {
  readonly #driver: Driver;
  readonly #context: Context;
  readonly #inside: string;
  /** The scripts that the driver can't run before a page's own. */
  readonly #lateScripts: string[] = [];
  #url = "about:blank";
  #closed = false;

  constructor(driver: Driver, context: Context, inside: string) {
    super();
    this.#driver = driver;
    this.#context = context;
    this.#inside = inside;
  }

  /** Makes it ready for its first page. */
  async prepare(): Promise<void> {
    await this.#addScript(listen);
  }

  async #addScript(script: string): Promise<void> {
    if (!(await this.#driver.addInitScript(script))) this.#lateScripts.push(script);
  }

  addInitScript(run: () => void): Promise<void> {
    return this.#addScript(`(${run})()`);
  }

  async goto(url: string): Promise<void> {
    await this.#collect();
    this.#url = url;
    await this.#driver.navigate(url);
    await this.#arrived();
  }

  async reload(): Promise<void> {
    await this.#collect();
    await this.#driver.reload();
    await this.#arrived();
  }

  async #arrived(): Promise<void> {
    for (const script of this.#lateScripts) await this.evaluate(`void ${script}`);
  }

  /** Collects the page's errors before the page is left. */
  async #collect(): Promise<void> {
    const taken = `globalThis[Symbol.for("complaints")]?.splice(0) ?? []`;
    for (const { kind, type, text } of await this.evaluate<Complaint[]>(taken)) {
      if (kind === "pageerror") this.emit(kind, new Error(text));
      else this.emit(kind, { type: () => type, text: () => text });
    }
  }

  url(): string {
    return this.#url;
  }

  title(): Promise<string> {
    return this.evaluate(() => document.title);
  }

  evaluate<R>(run: (() => R | Promise<R>) | string): Promise<R>;
  evaluate<A, R>(run: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
  async evaluate(run: ((argument: unknown) => unknown) | string, argument?: unknown) {
    const call =
      typeof run === "string" ? run.trim().replace(/;$/, "") : `(${run})(${literal(argument)})`;
    return result(await this.#driver.evaluate(source(call)));
  }

  /** Evaluates an expression that may use `inside`, which is put into the page when it isn't there. */
  async inside<R>(expression: string): Promise<R> {
    const name = `globalThis[Symbol.for("inside")]`;
    const ask = (): Promise<{ value: R } | null> =>
      this.evaluate(
        `((inside) => inside ? Promise.resolve(${expression}).then((value) => ({ value })) : null)(${name})`,
      );
    const first = await ask();
    if (first) return first.value;
    await this.evaluate(`void (${name} ??= ${this.#inside})`);
    return (await ask())?.value as R;
  }

  async waitForFunction<A>(run: (argument: A) => unknown, argument?: A): Promise<void> {
    const ask = async () => (await this.evaluate(run, argument as A)) || undefined;
    await until(ask, "true answer");
  }

  locator(css: string, { hasText }: { hasText?: string | RegExp } = {}): DriverLocator {
    return new DriverLocator(this, [{ css, hasText }]);
  }
  getByRole(role: Role, options: RoleOptions = {}): DriverLocator {
    return new DriverLocator(this, [{ role, ...options }]);
  }
  getByText(text: string | RegExp, { exact }: { exact?: boolean } = {}): DriverLocator {
    return new DriverLocator(this, [{ text, exact }]);
  }

  readonly keyboard: Keyboard = {
    press: (key) => this.#driver.perform(press(key)),
    type: (text) => this.#driver.perform(type(text)),
    insertText: (text) => this.inside(`inside.insert(${literal(text)})`),
  };

  click(point: { x: number; y: number }): Promise<void> {
    return this.#driver.perform(click(point));
  }

  readonly clock: Clock = {
    install: async () => {
      const start = `(globalThis[Symbol.for("inside")] ??= ${this.#inside}).startClock()`;
      await this.#addScript(start);
      await this.evaluate(start);
    },
    pauseAt: (time) => this.#moveClock("pauseAt", time),
    runFor: (ms) => this.#moveClock("runFor", ms),
    fastForward: (ms) => this.#moveClock("fastForward", ms),
    setSystemTime: (time) => this.#moveClock("setSystemTime", time),
  };

  #moveClock(how: keyof Clock, value: number): Promise<void> {
    return this.inside(`inside.moveClock("${how}", ${value})`);
  }

  context(): Context {
    return this.#context;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#collect();
    await this.#driver.close();
    this.emit("close");
  }
}

/** Elements of a page, which are looked up when they are used. */
export class DriverLocator implements Locator {
  readonly #page: DriverPage;
  readonly #steps: Step[];

  constructor(page: DriverPage, steps: Step[]) {
    this.#page = page;
    this.#steps = steps;
  }

  #then(step: Step): DriverLocator {
    return new DriverLocator(this.#page, [...this.#steps, step]);
  }
  locator(css: string, { hasText }: { hasText?: string | RegExp } = {}): DriverLocator {
    return this.#then({ css, hasText });
  }
  getByRole(role: Role, options: RoleOptions = {}): DriverLocator {
    return this.#then({ role, ...options });
  }
  getByText(text: string | RegExp, { exact }: { exact?: boolean } = {}): DriverLocator {
    return this.#then({ text, exact });
  }
  first(): DriverLocator {
    return this.nth(0);
  }
  last(): DriverLocator {
    return this.nth(-1);
  }
  nth(nth: number): DriverLocator {
    return this.#then({ nth });
  }

  /** Runs an expression on the elements that are found now, as `found`. */
  #now<R>(expression: string): Promise<R> {
    return this.#page.inside(
      `((found) => (${expression}))(inside.locate(${literal(this.#steps)}))`,
    );
  }

  /** Runs an expression on the one element, as `element`, as soon as the element exists and the answer isn't undefined. */
  async #one<R>(expression: string): Promise<R> {
    const what = `one element by ${literal(this.#steps)}`;
    const ask = async (): Promise<{ value: R } | undefined> => {
      const { count, value } = await this.#now<{ count: number; value?: { value: R } | null }>(
        `found.length === 1
          ? Promise.resolve(((element) => (${expression}))(found[0]))
              .then((value) => ({ count: 1, value: value === undefined ? null : { value } }))
          : { count: found.length }`,
      );
      if (count > 1) throw new Error(`there are ${count} where there must be ${what}`);
      return value ?? undefined;
    };
    return (await until(ask, what)).value;
  }

  count(): Promise<number> {
    return this.#now("found.length");
  }
  async isVisible(): Promise<boolean> {
    const seen = await this.#now<boolean[]>("found.map(inside.isVisible)");
    if (seen.length > 1) throw new Error(`there are ${seen.length} of ${literal(this.#steps)}`);
    return seen[0] ?? false;
  }
  async waitFor({ timeout = PATIENCE_MS } = {}): Promise<void> {
    const ask = async () => (await this.isVisible()) || undefined;
    await until(ask, `visible ${literal(this.#steps)}`, timeout);
  }
  async click({ force = false } = {}): Promise<void> {
    await this.#page.click(await this.#one(`inside.point(element, ${force})`));
  }
  async fill(text: string): Promise<void> {
    await this.#one(
      `inside.isVisible(element) ? (inside.fill(element, ${literal(text)}), true) : undefined`,
    );
  }
  async press(key: string): Promise<void> {
    await this.focus();
    await this.#page.keyboard.press(key);
  }
  async focus(): Promise<void> {
    await this.#one("(element.focus(), true)");
  }
  /** Without the line breaks that end it in WebKit. */
  innerText(): Promise<string> {
    return this.#one("element.innerText.trimEnd()");
  }
  textContent(): Promise<string> {
    return this.#one("element.textContent");
  }
  inputValue(): Promise<string> {
    return this.#one("element.value");
  }
  getAttribute(name: string): Promise<string | null> {
    return this.#one(`element.getAttribute(${literal(name)})`);
  }
  async evaluate<A, R>(
    run: (element: HTMLElement, argument: A) => R | Promise<R>,
    argument?: A,
  ): Promise<R> {
    const call = `Promise.resolve((${run})(element, ${literal(argument)})).then((value) => [value])`;
    const [value] = await this.#one<[R]>(call);
    return value;
  }
  evaluateAll<R>(run: (elements: Element[]) => R): Promise<R> {
    return this.#now(`(${run})(found)`);
  }
}
