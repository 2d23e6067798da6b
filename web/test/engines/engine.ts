// The part of Playwright's API that the web tests need, so that a test is
// written once for Chromium, Firefox and WebKit.

export interface Browser {
  /** Opens a context with its own storage. */
  newContext(options?: ContextOptions): Promise<Context>;
  /** Opens a page in its own context. */
  newPage(options?: ContextOptions): Promise<Page>;
  close(): Promise<void>;
}

export interface ContextOptions {
  colorScheme?: "light" | "dark";
  forcedColors?: "active";
  reducedMotion?: "reduce";
  viewport?: { width: number; height: number };
}

export interface Context {
  newPage(): Promise<Page>;
  setOffline(offline: boolean): Promise<void>;
  close(): Promise<void>;
}

type Pattern = string | RegExp;

/** Finds elements, also in shadow trees. */
interface Scope {
  locator(css: string, options?: { hasText?: Pattern }): Locator;
  getByRole(role: Role, options?: RoleOptions): Locator;
  getByText(text: Pattern, options?: { exact?: boolean }): Locator;
}

export type Role = "button" | "heading" | "link" | "listitem" | "status" | "textbox";

export interface RoleOptions {
  name?: Pattern;
  level?: number;
}

export interface Page extends Scope {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  url(): string;
  title(): Promise<string>;
  /** Runs a function in the page. It takes and returns only plain data, and can't access the test's variables. */
  evaluate<Result>(run: (() => Result | Promise<Result>) | string): Promise<Result>;
  evaluate<Argument, Result>(
    run: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  /** Waits until a function returns true. Playwright takes a promise for true without awaiting it. */
  waitForFunction<Argument>(
    run: (argument: Argument) => boolean,
    argument?: Argument,
  ): Promise<unknown>;
  /** Runs before the scripts of each page that is loaded from now on; in WebKit right after them. */
  addInitScript(run: () => void): Promise<unknown>;
  on(event: "pageerror", listener: (error: Error) => void): unknown;
  on(event: "console", listener: (message: ConsoleMessage) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  context(): Context;
  close(): Promise<void>;
  readonly keyboard: Keyboard;
  readonly clock: Clock;
}

export interface ConsoleMessage {
  type(): string;
  text(): string;
}

export interface Keyboard {
  /** Such as `a`, `Enter` or `Shift+Tab`. */
  press(key: string): Promise<void>;
  /** Types one character after another into the focused element. */
  type(text: string): Promise<void>;
  /** Enters a whole text, like a paste. */
  insertText(text: string): Promise<void>;
}

export interface Clock {
  install(): Promise<void>;
  pauseAt(time: number): Promise<void>;
  runFor(ms: number): Promise<void>;
  fastForward(ms: number): Promise<void>;
  setSystemTime(time: number): Promise<void>;
}

type InPage<Argument, Result> = (element: HTMLElement, argument: Argument) => Result;

/** An element that is looked up when it is used. It must appear within a time limit. */
export interface Locator extends Scope {
  first(): Locator;
  last(): Locator;
  nth(index: number): Locator;
  count(): Promise<number>;
  click(options?: { force?: boolean }): Promise<void>;
  fill(text: string): Promise<void>;
  press(key: string): Promise<void>;
  focus(): Promise<void>;
  waitFor(options?: { timeout?: number }): Promise<void>;
  /** Whether it is visible now. */
  isVisible(): Promise<boolean>;
  innerText(): Promise<string>;
  textContent(): Promise<string | null>;
  inputValue(): Promise<string>;
  getAttribute(name: string): Promise<string | null>;
  evaluate<Result>(run: InPage<void, Result | Promise<Result>>): Promise<Result>;
  evaluate<Argument, Result>(
    run: InPage<Argument, Result | Promise<Result>>,
    argument: Argument,
  ): Promise<Result>;
  evaluateAll<Result>(run: (elements: Element[]) => Result): Promise<Result>;
}
