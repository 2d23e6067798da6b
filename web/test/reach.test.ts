// What an error says where a page can't reach its gateway, by the real parts: as much
// as a page can know.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { type Servers, startServers } from "../servers.js";
import type { LocalServer } from "../static-server.js";
import { launchBrowser } from "./helpers/browser.js";
import { ask, blankPage, servePages, strictPolicy } from "./helpers/page.js";

const key = "BETA-18DCE6-E146E733-5C8655W";
const unknown = "license.invalid";

suite("a page that can't reach its gateway", () => {
  let browser: Browser;
  let pages: LocalServer;
  let strict: LocalServer;
  let servers: Servers;
  let closed: Servers;

  before(async () => {
    // Otherwise the machine's name servers would be asked, which may take longer than a page waits.
    browser = await launchBrowser([`--host-resolver-rules=MAP ${unknown} ^NOTFOUND`]);
    pages = await servePages();
    strict = await servePages(strictPolicy("https://license.example.com"));
    servers = await startServers({ origins: [pages.origin] });
    closed = await startServers();
    await closed.stop();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages?.close(), strict?.close(), servers?.stop()]);
  });

  async function open(origin: string, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    await page.goto(origin + blankPage);
    // The module is loaded before anything goes wrong.
    await ask(page, servers.endpoint, { key, options: { maxAttempts: 1 } });
    await prepare?.(page);
    return page;
  }

  async function failure(page: Page, endpoint: string, code = "unavailable"): Promise<string> {
    const { error } = await ask(page, endpoint, { key, options: { maxAttempts: 1 } });
    assert.equal(error?.code, code, JSON.stringify(error));
    assert.equal(error.retryable, true);
    assert.doesNotMatch(error.message, /18DCE6/);
    await page.context().close();
    return error.message;
  }

  test("its policy forbids the gateway", async () => {
    const message = await failure(await open(strict.origin), servers.endpoint);
    assert.ok(
      message.endsWith(
        `The page's Content Security Policy forbids the request: add ${servers.endpoint} to its connect-src.`,
      ),
      message,
    );
  });

  test("the gateway doesn't list its origin", async (t) => {
    const other = await servePages();
    t.after(() => other.close());
    const message = await failure(await open(other.origin), servers.endpoint);
    assert.match(message, new RegExp(`${servers.endpoint} answers, but doesn't let a page of`));
    assert.match(message, new RegExp(`start the gateway with --allowed-origin=${other.origin}\\.`));
  });

  test("the gateway is down", async () => {
    const message = await failure(await open(pages.origin), closed.endpoint);
    const seen = `Nothing answers at ${closed.endpoint} when asked by a page of ${pages.origin}`;
    assert.ok(message.includes(seen), message);
  });

  test("the host is wrong", async () => {
    const endpoint = `https://${unknown}/gateway`;
    const message = await failure(await open(pages.origin), endpoint);
    assert.match(
      message,
      /Nothing answers at https:\/\/license\.invalid\/gateway when asked by a page of/,
    );
    assert.match(message, /check the endpoint/);
  });

  test("the device is offline", async () => {
    const page = await open(pages.origin, (page) => page.context().setOffline(true));
    assert.match(await failure(page, servers.endpoint), /This device is offline\.$/);
  });

  test("the endpoint has an extra path", async () => {
    const message = await failure(
      await open(pages.origin),
      `${servers.endpoint}/api/v2`,
      "bad_response",
    );
    assert.match(message, /check the endpoint: its path \/api\/v2 may be too much\.$/);
  });

  test("the attempts of one check probe the endpoint once", async () => {
    const page = await open(pages.origin);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(`${request.method()} ${request.url()}`));
    await ask(page, closed.endpoint, { key, options: { maxAttempts: 3 } });
    const probes = asked.filter((request) => request === `GET ${closed.endpoint}/healthz`);
    assert.equal(asked.filter((request) => request.startsWith("POST")).length, 3);
    assert.equal(probes.length, 1);
    await page.context().close();
  });
});
