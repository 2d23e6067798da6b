// The launcher page in browsers that lack something that it uses, which Playwright
// can make of Chromium alone.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { launcherPage } from "../launcher-page.js";
import { type LocalServer, listen } from "../static-server.js";
import { launchBrowser } from "./helpers/browser.js";

suite("the launcher page in browsers that lack something", () => {
  let browser: Browser;
  let server: LocalServer;

  before(async () => {
    browser = await launchBrowser();
    server = await listen();
    server.handle(launcherPage("http://127.0.0.1:9"));
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test("without scripts, or in a browser that is too old, it says what is missing", async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const old = await browser.newContext();
    await old.addInitScript(() => Reflect.deleteProperty(globalThis, "CSSStyleSheet"));
    for (const context of [plain, old]) {
      const page = await context.newPage();
      await page.goto(server.origin);
      await page.getByText("This page needs JavaScript and a current browser").waitFor();
      assert.equal(await page.getByText("Your license is valid").isVisible(), false);
      await context.close();
    }
    const page = await browser.newPage();
    await page.goto(server.origin);
    assert.equal(await page.getByText("This page needs JavaScript").isVisible(), false);
  });

  test("a browser without light-dark() shows the light colors", async () => {
    const styles = new RegExp(`^${server.origin}/.*(launcher\\.css|styles\\.js)$`);
    let changed = 0;
    const page = await browser.newPage();
    await page.route(styles, async (route) => {
      const response = await route.fetch();
      const text = await response.text();
      assert.match(text, /light-dark\(/);
      changed++;
      await route.fulfill({ response, body: text.replaceAll("light-dark(", "unheard-of(") });
    });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.goto(server.origin);
    await page.getByRole("textbox", { name: "License key" }).waitFor();
    assert.equal(changed, 2);
    const colors = await page.evaluate(() => {
      const inside = document.querySelector("whop-license-gate")?.shadowRoot;
      const of = (element: Element | null | undefined): string[] => {
        if (!element) throw new Error("not found");
        const { color, backgroundColor } = getComputedStyle(element);
        return [color, backgroundColor];
      };
      return [document.body, inside?.querySelector("[part=panel]"), inside?.querySelector("button")]
        .flatMap(of)
        .join(" ");
    });
    const text = "rgb(23, 23, 28)";
    const white = "rgb(255, 255, 255)";
    assert.equal(colors, `${text} rgb(244, 244, 247) ${text} ${white} ${white} rgb(67, 56, 202)`);
  });
});
