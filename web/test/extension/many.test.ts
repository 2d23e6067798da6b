// Many gates and many tabs that ask the browser helper at once, in Chromium with the real
// extension and program.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import type { Page } from "playwright-core";
import type { LocalServer } from "../../static-server.js";
import { pageId } from "../helpers/extension.js";
import { HelperBrowser } from "../helpers/extension-browser.js";
import { harness } from "../helpers/gate.js";
import { complaints, servePages, strictPolicy } from "../helpers/page.js";

type Harness = typeof import("../pages/element.js");

const install = "To use your license on this computer, install the helper’s program";
const TEN = 10;

suite("many gates of one page", () => {
  let browser: HelperBrowser;
  let pages: LocalServer;
  /** The extension's own page. */
  let options: Page;
  let said: string[];

  before(async () => {
    browser = await HelperBrowser.start();
    pages = await servePages(strictPolicy("'self'"));
    options = await browser.openOptions();
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
  });
  beforeEach(async () => {
    said = [];
    await browser.user.install("chromium");
    await options.evaluate("chrome.storage.local.clear()");
  });
  afterEach(() => assert.deepEqual(said, []));

  async function open(clock = false): Promise<Page> {
    const page = await browser.context.newPage();
    said = complaints(page);
    if (clock) await page.clock.install();
    await page.goto(`${pages.origin}/test/pages/element.html`);
    if (clock) await page.clock.pauseAt(Date.now() + 60_000); // as in helpers/gate.ts
    return page;
  }

  const add = (page: Page, gates: number, store?: string) =>
    page.evaluate(
      async ({ path, gates, store }) => {
        const { add }: Harness = await import(path);
        for (let i = 0; i < gates; i++) {
          add({ id: `gate${i}`, attributes: { machine: "helper" }, ...(store && { store }) });
        }
      },
      { path: harness, gates, store },
    );

  /** Counts what crosses between page and extension. */
  const count = (page: Page) =>
    page.evaluate(() => {
      const seen = { asked: 0, answered: 0, refused: 0 };
      Object.assign(globalThis, { seen });
      addEventListener("message", ({ data }) => {
        if (data.to === "extension") seen.asked++;
        else if (!("received" in data.answer)) seen.answered++;
        if (/too often/.test(data.answer?.error?.message)) seen.refused++;
      });
    });
  const seen = (page: Page) =>
    page.evaluate(
      () =>
        (globalThis as unknown as { seen: Record<"asked" | "answered" | "refused", number> }).seen,
    );

  test("they wait for the program, and none uses up what the page may ask", async () => {
    await browser.user.uninstall();
    const page = await open(true);
    await count(page);
    await add(page, TEN);
    const waiting = page.getByRole("heading", { name: install });
    while ((await waiting.count()) < TEN);
    for (let asked = 2; asked <= 20; asked++) {
      await page.clock.fastForward(1500);
      await page.waitForFunction(
        (asked) => {
          const { seen } = globalThis as unknown as { seen: { asked: number; answered: number } };
          return seen.asked >= asked && seen.answered === seen.asked;
        },
        asked,
        { polling: 20 },
      );
    }
    assert.deepEqual(await seen(page), { asked: 20, answered: 20, refused: 0 });
    await browser.user.install("chromium");
    const gates = page.locator("whop-license-gate");
    await page.clock.resume();
    await page.waitForFunction(
      () => document.querySelectorAll("whop-license-gate[state=error]").length === 0,
    );
    for (const gate of await gates.all()) assert.equal(await gate.getAttribute("state"), "idle");
    await page.close();
  });

  test("they check remembered keys at once, and each gets the id", async () => {
    await options.evaluate(`chrome.storage.local.set({ "consent:${pages.origin}": "allowed" })`);
    const page = await open();
    await count(page);
    await add(page, TEN, "filled");
    const results = () =>
      page.evaluate(async (path) => {
        const { calls, events }: Harness = await import(path);
        return [...calls.map(({ hwid }) => hwid), ...events.map(({ type }) => type)];
      }, harness);
    while ((await results()).length < TEN);
    const ids = await results();
    assert.deepEqual(
      ids,
      Array(TEN).fill(await pageId(pages.origin)),
      JSON.stringify(await seen(page)),
    );
    await page.close();
  });
});
