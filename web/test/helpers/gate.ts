// Pages with gates whose validator gives the answers that a test chooses.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, type TestContext } from "node:test";
import type { LocalServer } from "../../static-server.js";
import type { Browser, ContextOptions, Page } from "../engines/engine.js";
import { launchEngine } from "../engines/launch.js";
import type { GateOptions, Plan } from "../pages/element.js";
import { complaints, servePages, strictPolicy } from "./page.js";

type Harness = typeof import("../pages/element.js");

export type { GateOptions, Plan } from "../pages/element.js";

/** Where the harness is; every page has its own. */
export const harness = "/test/pages/element.js";
export const key = "BETA-18DCE6-E146E733-5C8655W";
const axeFile = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export const valid = (more: object = {}): Plan => ({
  verdict: {
    valid: true,
    code: "valid",
    source: "server",
    checkedAt: "2026-01-01T00:00:00.000Z",
    membership: { valid: true, id: "mem_1", license_key: key },
    ...more,
  },
});

export const refusal = (code: string, message = "No."): Plan => ({
  verdict: {
    valid: false,
    code,
    source: "server",
    checkedAt: "2026-01-01T00:00:00.000Z",
    message,
    status: code === "not_found" ? 404 : 400,
  },
});

export interface OpenOptions extends ContextOptions {
  gate?: GateOptions | false;
  dir?: "rtl";
  /** Replaces the page's clock, so that the test makes the time. */
  clock?: boolean;
  /** Runs in the page before anything else. */
  before?: () => void;
  path?: string;
}

/** A page of one test. */
export class GatePage {
  readonly page: Page;
  /** The page's errors and warnings. There must be none. */
  readonly said: string[];

  private constructor(page: Page) {
    this.page = page;
    this.said = complaints(page);
  }

  static async open(
    browser: Browser,
    pages: LocalServer,
    { gate = {}, dir, clock, before, path, ...context }: OpenOptions = {},
  ): Promise<GatePage> {
    const page = await (await browser.newContext(context)).newPage();
    const opened = new GatePage(page);
    if (before) await page.addInitScript(before);
    if (clock) await page.clock.install();
    await page.goto(pages.origin + (path ?? "/test/pages/element.html"));
    // Playwright can't pause in the past, so this is later than the page can be by then.
    if (clock) await page.clock.pauseAt(Date.now() + 60_000);
    if (dir) await page.evaluate((dir) => document.documentElement.setAttribute("dir", dir), dir);
    if (gate) await opened.add(gate);
    return opened;
  }

  get gate() {
    return this.page.locator("whop-license-gate").first();
  }
  get input() {
    return this.page.getByRole("textbox", { name: "License key" });
  }
  get content() {
    return this.page.getByText("What the customer paid for.");
  }
  get retry() {
    return this.page.getByRole("button", { name: "Try again" });
  }
  /** What is said to a screen reader. */
  get status() {
    return this.gate.getByRole("status");
  }

  add(gate: GateOptions): Promise<void> {
    return this.page.evaluate(
      async ({ gate, path }) => {
        const { add }: Harness = await import(path);
        add(gate);
        // A remembered key is checked a few turns later.
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      },
      { gate, path: harness },
    );
  }

  get otherKey() {
    return this.gate.getByRole("button", { name: "Use another key" });
  }

  async submit(licenseKey = key): Promise<void> {
    if (await this.otherKey.isVisible()) await this.otherKey.click();
    await this.input.fill(licenseKey);
    await this.input.press("Enter");
  }

  /** Answers a call of the validator, by default the last one. */
  answer(plan: Plan, index = -1): Promise<void> {
    return this.page.evaluate(
      async ({ plan, index, path }) => {
        const { calls }: Harness = await import(path);
        const call = calls.at(index);
        if (!call) throw new Error("the validator was not called");
        call.settle(plan);
        // The answer has arrived once these are through.
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      },
      { plan, index, path: harness },
    );
  }

  async check(plan: Plan, licenseKey = key): Promise<void> {
    await this.submit(licenseKey);
    await this.answer(plan);
  }

  /** Waits until the validator was called this often. */
  async called(times: number): Promise<void> {
    while ((await this.calls()).length < times);
  }

  calls() {
    return this.page.evaluate(async (path) => {
      const { calls }: Harness = await import(path);
      return calls.map(({ key, hwid, argumentCount, signal }) => ({
        key,
        hwid: hwid ?? null,
        argumentCount,
        aborted: signal.aborted,
      }));
    }, harness);
  }

  events() {
    return this.page.evaluate(async (path) => {
      const { events }: Harness = await import(path);
      return events;
    }, harness);
  }

  async eventTypes(): Promise<string[]> {
    return (await this.events()).map(({ type }) => type.replace("whop-license-", ""));
  }

  state(): Promise<string | null> {
    return this.gate.getAttribute("state");
  }

  /** What has the focus: an id, part or text of it, inside the shadow tree too. */
  focused(): Promise<string> {
    return this.page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      return active?.id || active?.getAttribute("part") || active?.textContent || "nothing";
    });
  }

  /** Every text, attribute and address of the page, shadow trees included. */
  everything(): Promise<string> {
    return this.page.evaluate(() => {
      const read = (root: Document | ShadowRoot): string =>
        [...root.querySelectorAll("*")]
          .map((element) => {
            const attributes = [...element.attributes].map(({ name, value }) => `${name}=${value}`);
            const inside = element.shadowRoot ? read(element.shadowRoot) : "";
            return `${element.tagName} ${attributes.join(" ")} ${element.textContent} ${inside}`;
          })
          .join("\n");
      return read(document) + document.title + location.href;
    });
  }

  /** Removes all gates. */
  clear(): Promise<void> {
    return this.page.evaluate(() => document.querySelector("#place")?.replaceChildren());
  }

  /** What axe-core finds against WCAG 2.2 AA and its own best practices. */
  async violations(): Promise<string[]> {
    // As an expression, for which the page's policy doesn't count.
    await this.page.evaluate(readFileSync(axeFile, "utf8"));
    return this.page.evaluate(async () => {
      const axe = (globalThis as unknown as { axe: typeof import("axe-core") }).axe;
      const { violations, passes } = await axe.run(document, {
        runOnly: [
          ...["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"],
        ],
      });
      if (passes.length < 10) throw new Error("axe-core checked next to nothing");
      return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id} ${target} ${failureSummary}`),
      );
    });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

/**
 * Starts what the tests of a suite need, under a strict policy, and returns how
 * each opens its page. A page must not have complained of anything.
 */
export function gateSuite(): (t: TestContext, options?: OpenOptions) => Promise<GatePage> {
  let browser: Browser;
  let pages: LocalServer;
  before(async () => {
    browser = await launchEngine();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
  });
  return async (t, options) => {
    const opened = await GatePage.open(browser, pages, options);
    t.after(async () => {
      await opened.close();
      assert.deepEqual(opened.said, []);
    });
    return opened;
  };
}
