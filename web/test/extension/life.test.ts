// The browser helper's question while the page that asks is left, comes back or is loaded
// again.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import type { Page } from "playwright-core";
import type { LocalServer } from "../../static-server.js";
import { pageId } from "../helpers/extension.js";
import { HelperBrowser } from "../helpers/extension-browser.js";
import { askHelper } from "../helpers/extension-page.js";
import { blankPage, packagePath, servePages, strictPolicy } from "../helpers/page.js";

interface Asking {
  asking?: Promise<{ id?: string; message?: string }>;
  restored?: boolean;
}

suite("a page that asks the browser helper", () => {
  let browser: HelperBrowser;
  let pages: LocalServer;
  let page: Page;

  before(async () => {
    browser = await HelperBrowser.start();
    await browser.user.install("chromium");
    pages = await servePages(strictPolicy("'self'"));
  });
  after(async () => {
    await browser?.close();
    await pages?.close();
  });
  beforeEach(async () => {
    const options = await browser.openOptions();
    await options.evaluate("chrome.storage.local.clear()");
    await options.close();
    page = await browser.open(pages.origin + blankPage);
  });
  afterEach(() => page.close());

  /** Asks, and keeps the answer in the page. */
  const start = () =>
    page.evaluate(async (path) => {
      const { helperMachineId }: typeof import("whop-license/helper") = await import(path);
      const kept = globalThis as Asking;
      kept.asking = helperMachineId({ timeoutMs: 60_000 }).catch(({ message }) => ({ message }));
      addEventListener("pageshow", ({ persisted }) => {
        kept.restored = persisted;
      });
    }, `${packagePath}/helper/index.js`);
  const answer = () => page.evaluate(() => (globalThis as Asking).asking);

  async function leave(): Promise<void> {
    await page.evaluate((path) => {
      location.href = path;
    }, `${blankPage}?elsewhere`);
    await page.waitForURL(/elsewhere/);
  }
  async function comeBack(): Promise<void> {
    await page.evaluate(() => history.back());
    await page.waitForFunction(() => (globalThis as Asking).restored);
  }

  test("gets its answer although it was left and has come back", async () => {
    const [window] = await browser.question(start);
    await leave();
    await comeBack();
    await window.getByRole("button", { name: "Allow", exact: true }).click();
    assert.equal((await answer())?.id, await pageId(pages.origin));
  });

  test("is told when it is back that the question was closed meanwhile, and not asked again", async () => {
    const options = await browser.openOptions();
    const [window] = await browser.question(start);
    await leave();
    await window.close();
    // Until the background has noticed, coming back would be answered with that.
    while (((await options.evaluate("chrome.storage.session.getKeys()")) as string[]).length === 0);
    await options.close();
    await comeBack();
    assert.match((await answer())?.message ?? "", /after your next click/);
    assert.ok(browser.context.pages().every((p) => !p.url().endsWith("/consent.html")));
  });

  test("gets the answer to the question that it left open when it was loaded again", async () => {
    const [window] = await browser.question(start);
    for (let i = 0; i < 5; i++) await page.reload();
    const asked = askHelper(page);
    await window.getByRole("button", { name: "Allow", exact: true }).click();
    assert.equal((await asked).id, await pageId(pages.origin));
  });
});
