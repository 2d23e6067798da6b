// The launcher with the browser helper, all of it real: launcher → gate → extension →
// sidecar → gateway, with a simulator in Whop's place.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import type { AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { launcherPage } from "../../launcher-page.js";
import { type Running, startGateway } from "../../servers.js";
import { type LocalServer, listen } from "../../static-server.js";
import { enter, outcome } from "../helpers/customer.js";
import { pageId } from "../helpers/extension.js";
import { HelperBrowser } from "../helpers/extension-browser.js";
import { request, sendRaw } from "../helpers/extension-page.js";
import { complaints } from "../helpers/page.js";
import { type Simulator, startSimulator } from "../helpers/simulator.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const titles = {
  program: "To use your license on this computer, install the helper’s program",
  consent: "Allow this site to identify this computer",
};

suite("the launcher with the browser helper", () => {
  let browser: HelperBrowser;
  let simulator: Simulator;
  let gateway: Running;
  let launcher: LocalServer;
  let other: LocalServer;
  /** The extension's own page. */
  let options: Page;
  let page: Page;
  let said: string[];
  let licenseKey: string;
  let keys = 0;

  before(async () => {
    browser = await HelperBrowser.start();
    simulator = await startSimulator();
    [launcher, other] = await Promise.all([listen(), listen()]);
    gateway = await startGateway({
      ...{ simulator: simulator.url, apiKey: simulator.apiKey },
      ...{ product: "prod_sim", origins: [launcher.origin, other.origin] },
    });
    for (const server of [launcher, other]) server.handle(launcherPage(gateway.url));
    options = await browser.openOptions();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([launcher?.close(), other?.close(), gateway?.stop()]);
    await simulator?.stop();
  });
  beforeEach(async () => {
    await browser.user.install("chromium");
    await options.evaluate("chrome.storage.local.clear()");
    licenseKey = `H-${++keys}`;
    await simulator.add({ license_key: licenseKey });
    await simulator.forget();
    await open(launcher.origin);
  });
  afterEach(async () => {
    await page.close();
    assert.deepEqual(said, []);
  });

  async function open(url: string): Promise<void> {
    await page?.close();
    page = await browser.context.newPage();
    said = complaints(page);
    await page.goto(url);
    await page.getByRole("textbox", { name: "License key" }).waitFor();
  }

  const check = (): Promise<void> => enter(page, licenseKey);
  const heading = (name: string) => page.getByRole("heading", { name, exact: true });
  const valid = () => heading("Your license is valid").waitFor();
  const retry = () => page.getByRole("button", { name: "Try again" });

  async function audit(state: string): Promise<void> {
    await page.evaluate(axe);
    const { violations } = (await page.evaluate("axe.run()")) as AxeResults;
    assert.deepEqual(
      violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
      [],
      state,
    );
  }

  /** The machine ids that Whop was told to keep. */
  const bound = async (): Promise<string[]> =>
    (await simulator.seen())
      .filter(({ method }) => method === "PATCH" || method === "POST")
      .map(({ body }) => JSON.parse(body).metadata?.HWID);

  test("binds a license to the id that the helper makes for the origin, and asks once", async () => {
    await browser.decide("Allow", check);
    await valid();
    assert.deepEqual(await bound(), [await pageId(launcher.origin)]);

    await open(launcher.origin);
    await check();
    await valid();
    assert.deepEqual(await bound(), [await pageId(launcher.origin)], "bound once");

    // Another site's launcher gets another id, so the license is in use on another machine.
    await open(other.origin);
    await browser.decide("Allow", check);
    assert.equal((await outcome(page)).code, "metadata_mismatch");
  });

  test("an id in the address takes precedence, and nobody is asked", async () => {
    await open(`${launcher.origin}/#machine-id=from-the-app`);
    await check();
    await valid();
    assert.deepEqual(await bound(), ["from-the-app"]);
  });

  test("after a no, the launcher says what to do, and continues once the customer allows it", async () => {
    await browser.decide("Don’t allow", check);
    await heading(titles.consent).waitFor();
    const { code, text, focused } = await outcome(page);
    assert.equal(code, "no_machine_id");
    assert.match(text, /only if you allow it.*Try again.*helper’s icon/s);
    assert.ok(focused);
    await audit("denied");
    await options.getByRole("button", { name: `Allow: ${launcher.origin}` }).click();
    await page.bringToFront();
    await valid();
    assert.deepEqual(await bound(), [await pageId(launcher.origin)]);
  });

  test("a withdrawn consent is asked for again", async () => {
    await browser.decide("Allow", check);
    await valid();
    await options.getByRole("button", { name: `Forget: ${launcher.origin}` }).click();
    await options.getByText("None so far").waitFor();
    await page.bringToFront();
    await page.getByRole("button", { name: "Check another license" }).click();
    const [window] = await browser.question(check);
    await window.close();
    await heading(titles.consent).waitFor();
    await browser.decide("Allow", () => retry().click());
    await valid();
  });

  test("a missing program is reported at once, and its installation is noticed", async () => {
    await browser.user.uninstall();
    // A question looks for the program. Only a state may come from the cache.
    const [asked] = await sendRaw(page, [request("1", { ask: "machineId" })]);
    assert.match(JSON.stringify(asked), /no_program/);
    await page.reload();
    await heading(titles.program).waitFor();
    assert.match(
      (await outcome(page)).text,
      /Its program is missing.*This page continues automatically/s,
    );
    await audit("no program");
    await browser.user.install("chromium");
    await heading(titles.program).waitFor({ state: "hidden" });
    await browser.decide("Allow", check);
    await valid();
  });

  test("the next check reports a removed program, and continues when it is back", async () => {
    await browser.decide("Allow", check);
    await valid();
    await browser.user.uninstall();
    await page.getByRole("button", { name: "Check another license" }).click();
    await check();
    await heading(titles.program).waitFor();
    assert.equal((await outcome(page)).code, "no_machine_id");
    // The gate asked before this, and must see the program missing to notice that it is back.
    await sendRaw(page, [request("1")]);
    await browser.user.install("chromium");
    await valid();
  });
});
