// The launcher in each of its states, light, dark and small, under axe-core.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, suite, test } from "node:test";
import type { AxeResults } from "axe-core";
import { launcherPage } from "../launcher-page.js";
import { type Running, startGateway } from "../servers.js";
import { type LocalServer, listen } from "../static-server.js";
import type { Browser, Page } from "./engines/engine.js";
import { engineName, launchEngine } from "./engines/launch.js";
import { enter, outcome } from "./helpers/customer.js";
import { type Front, type Simulator, startFront, startSimulator } from "./helpers/simulator.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// The last outcome is one of the simulator, which takes the gateway's place.
const outcomes = [
  ["A-VALID", "valid"],
  ["A-BOUND", "metadata_mismatch"],
  ["A-ENDED", "inactive"],
  ["A-UNKNOWN", "not_found"],
  ["A-LATER", "rate_limited"],
] as const;

suite("accessibility of the launcher", () => {
  let browser: Browser;
  let simulator: Simulator;
  let front: Front;
  let gateway: Running;
  let server: LocalServer;

  before(async () => {
    browser = await launchEngine();
    simulator = await startSimulator();
    front = await startFront(simulator);
    await simulator.add(
      { license_key: "A-VALID", renewal_period_end: 1893456000 },
      { license_key: "A-BOUND", metadata: { HWID: "another" } },
      { license_key: "A-ENDED", status: "expired" },
      { license_key: "A-LATER", fault: "429", fault_retry_after: "600" },
      { license_key: "A-HELD", fault: "timeout" },
    );
    server = await listen();
    gateway = await startGateway({
      ...{ simulator: simulator.url, apiKey: simulator.apiKey },
      ...{ product: "prod_sim", origins: [server.origin] },
    });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await gateway?.stop();
    await front?.close();
    await simulator?.stop();
  });

  async function audit(page: Page, state: string): Promise<void> {
    const { violations } = (await page.evaluate(`axe.run()`)) as AxeResults;
    const found = violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`,
    );
    assert.deepEqual(found, [], state);
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(overflow, 0, `${state}: it scrolls sideways`);
  }

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [320, 1280]) {
      // What axe-core finds depends little on the engine, so the other two have one look.
      const skip = engineName !== "chromium" && (width !== 320 || colorScheme !== "dark");
      test(`${colorScheme}, ${width} pixels wide`, { skip }, async () => {
        const context = await browser.newContext({
          colorScheme,
          viewport: { width, height: 800 },
          reducedMotion: "reduce",
        });
        const page = await context.newPage();
        server.handle(launcherPage(gateway.url));
        await page.goto(`${server.origin}/#machine-id=one`);
        await page.evaluate(axe);
        const background = await page.evaluate(
          () => getComputedStyle(document.body).backgroundColor,
        );
        const [red = 0] = background.match(/\d+/g)?.map(Number) ?? [];
        assert.equal(red < 128, colorScheme === "dark", background);
        await audit(page, "start");

        const key = page.getByRole("textbox", { name: "License key" });
        await key.press("Enter");
        await audit(page, "empty field");
        await page.getByText("Advanced").click();
        await audit(page, "advanced");
        for (const [name, code] of outcomes) {
          if (code === "rate_limited") {
            server.handle(launcherPage(front.origin));
            await page.reload();
            await page.evaluate(axe);
            await page.getByText("Advanced").click();
          }
          await enter(page, name);
          assert.equal((await outcome(page)).code, code, name);
          if (code !== "valid") await page.getByText("Details for support").click();
          await audit(page, name);
        }
        await enter(page, "A/B");
        await page.getByText("This can’t be a license key.").first().waitFor();
        await audit(page, "wrong key");
        await page.getByRole("textbox", { name: "Machine id" }).fill("m".repeat(10_000));
        await enter(page, "A-ANY");
        assert.equal((await outcome(page)).code, "no_machine_id");
        await audit(page, "wrong machine id");
        await page.getByRole("textbox", { name: "Machine id" }).fill("one");
        await enter(page, "A-HELD");
        await page.getByRole("button", { name: "Cancel" }).waitFor();
        const spinner = page.locator("[part~=submit] .spinner");
        const turning = await spinner.evaluate((element) => element.getAnimations().length);
        assert.equal(turning, 0, "reduced motion");
        await audit(page, "busy");
        await page.keyboard.press("Escape");
        assert.equal((await outcome(page)).code, "aborted");
        await audit(page, "aborted");
        await context.close();
      });
    }
  }

  test("the audit sees what is wrong", async () => {
    const page = await browser.newPage();
    server.handle(launcherPage(gateway.url));
    await page.goto(server.origin);
    await page.evaluate(axe);
    await page.getByText("Advanced").click();
    await page.evaluate(() => document.querySelector("label")?.remove());
    await assert.rejects(audit(page, "no label"));
    await page.reload();
    await page.evaluate(axe);
    await page.getByRole("textbox", { name: "License key" }).waitFor();
    await page.evaluate(() =>
      document.querySelector("whop-license-gate")?.shadowRoot?.querySelector("label")?.remove(),
    );
    await assert.rejects(audit(page, "no label in the gate"));
  });
});
