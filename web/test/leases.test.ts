// Signed leases in a browser: two tabs that share localStorage, and the real gateway.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import {
  makeSigningKey,
  type Servers,
  type SigningKey,
  sampleProduct,
  startServers,
} from "../servers.js";
import { type LocalServer, listen } from "../static-server.js";
import type { Browser, Context, Page } from "./engines/engine.js";
import { launchEngine, noOffline } from "./engines/launch.js";
import { blankPage, complaints, servePages, strictPolicy } from "./helpers/page.js";
import type { Answer } from "./pages/harness.js";

type Harness = typeof import("./pages/harness.js");

const membership = { product: sampleProduct, status: "active" };

suite("leases in a browser", () => {
  let browser: Browser;
  let pages: LocalServer;
  let forger: LocalServer;
  let servers: Servers;
  let key: SigningKey;
  const said: string[] = [];

  before(async () => {
    browser = await launchEngine();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
    forger = await listen();
    key = await makeSigningKey();
    servers = await startServers({
      origins: [pages.origin],
      simulatorArgs: ["--rate-limit-v1=0"],
      gatewayArgs: [`--signing-key=${key.file}`, "--cache-ttl=0"],
    });
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages?.close(), forger?.close(), servers?.stop(), key?.remove()]);
    assert.deepEqual(said, []);
  });

  const control = async (path: string, body: object = {}): Promise<void> => {
    const url = `${servers.simulator}/sim/${path}`;
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    assert.ok(response.ok, await response.text());
  };

  async function openTab(context: Context): Promise<Page> {
    const tab = await context.newPage();
    const list = complaints(tab);
    tab.on("close", () => said.push(...list));
    await tab.goto(pages.origin + blankPage);
    return tab;
  }

  /** Asks like an app that keeps its leases, and returns the code and the source. */
  async function check(tab: Page, licenseKey: string, hwid: string, endpoint = servers.endpoint) {
    const { verdict, error } = await tab.evaluate(
      async ({ endpoint, publicKey, licenseKey, hwid }): Promise<Answer> => {
        const { answerOf, load }: Harness = await import(String("/test/pages/harness.js"));
        const { validateLicense } = await load(endpoint, { publicKey, leases: "local" });
        return answerOf(validateLicense(licenseKey, hwid, { maxAttempts: 1 }));
      },
      { endpoint, publicKey: key.publicKey, licenseKey, hwid },
    );
    return verdict?.valid ? `valid from ${verdict.source}` : (verdict?.code ?? error?.code);
  }

  const kept = (tab: Page): Promise<number> => tab.evaluate(() => localStorage.length);

  test("a lease from one tab stands in for another, until the server refuses", {
    skip: noOffline,
  }, async () => {
    await control("memberships", { license_key: "L-TABS", ...membership });
    const context = await browser.newContext();
    const [one, two] = [await openTab(context), await openTab(context)];
    assert.equal(await check(one, "L-TABS", "m1"), "valid from server");
    assert.equal(await kept(two), 1);

    // Loaded while there is a network, as an app is from its own files.
    assert.equal(await check(two, "L-NONE", "m1"), "not_found");
    await context.setOffline(true);
    assert.equal(await check(two, "L-TABS", "m1"), "valid from lease");
    assert.equal(await check(two, "L-TABS", "m2"), "unavailable");
    assert.equal(await check(two, "L-NONE", "m1"), "unavailable");
    await context.setOffline(false);

    await two.reload();
    await control("outage", { on: true, kind: "503" });
    assert.equal(await check(two, "L-TABS", "m1"), "valid from lease");
    await control("outage", { on: false });

    await control("cancel/L-TABS");
    assert.equal(await check(one, "L-TABS", "m1"), "inactive");
    assert.equal(await kept(two), 0);
    await context.setOffline(true);
    assert.equal(await check(one, "L-TABS", "m1"), "unavailable");
    assert.equal(await check(two, "L-TABS", "m1"), "unavailable");
    await two.close();
    await one.close();
    await context.close();
  });

  test("both tabs at once", { skip: noOffline }, async () => {
    await control("memberships", { license_key: "L-BOTH", ...membership });
    const context = await browser.newContext();
    const tabs = [await openTab(context), await openTab(context)];
    const many = Array.from({ length: 20 }, (_, i) => tabs[i % 2] as Page);
    for (const answer of await Promise.all(many.map((tab) => check(tab, "L-BOTH", "m1")))) {
      assert.equal(answer, "valid from server");
    }
    await context.setOffline(true);
    for (const tab of tabs) assert.equal(await check(tab, "L-BOTH", "m1"), "valid from lease");
    for (const tab of tabs) await tab.close();
    await context.close();
  });

  test("a server that only says yes, and one that replays the gateway's answer", async () => {
    await control("memberships", { license_key: "L-FORGED", ...membership });
    const context = await browser.newContext();
    const tab = await openTab(context);
    const gateway = `${servers.endpoint}/api/v2/memberships/L-FORGED/validate_license`;
    const genuine = await fetch(gateway, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ metadata: { HWID: "m1" }, nonce: "AAAAAAAAAAAAAAAAAAAAAA" }),
    });
    const replayed = await genuine.text();
    assert.match(replayed, /"lease":/);
    for (const answer of ['{"valid":true}', replayed]) {
      forger.handle((request, response) => {
        response.setHeader("Access-Control-Allow-Origin", "*");
        response.setHeader("Access-Control-Allow-Headers", "content-type");
        response.writeHead(request.method === "OPTIONS" ? 204 : 201).end(answer);
      });
      assert.equal(await check(tab, "L-FORGED", "m1", forger.origin), "untrusted_response");
    }
    assert.equal(await kept(tab), 0);
    assert.equal(await check(tab, "L-FORGED", "m1"), "valid from server");
    await tab.close();
    await context.close();
  });
});
