// The launcher page as a customer meets it: page → WebAssembly → HTTP → simulator.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { launcherPage } from "../launcher-page.js";
import { type LocalServer, listen } from "../static-server.js";
import { launchBrowser } from "./browser.js";
import { complaints } from "./page.js";
import { type Simulator, startSimulator } from "./simulator.js";

suite("the launcher page", () => {
  let browser: Browser;
  let simulator: Simulator;
  let server: LocalServer;
  let context: BrowserContext;
  let page: Page;
  let said: string[];

  before(async () => {
    browser = await launchBrowser();
    simulator = await startSimulator(["--retry-after"]);
    server = await listen();
    server.handle(launcherPage(simulator.url));
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await simulator?.stop();
  });
  beforeEach(async () => {
    // The API key is added outside the page, as a gateway would.
    context = await browser.newContext({
      extraHTTPHeaders: { Authorization: `Bearer ${simulator.apiKey}` },
    });
    page = await context.newPage();
    said = complaints(page);
    await simulator.forget();
  });
  afterEach(async () => {
    await context.close();
    assert.deepEqual(said, []);
  });

  const open = (fragment = ""): Promise<unknown> => page.goto(`${server.origin}/${fragment}`);

  async function check(key: string): Promise<void> {
    await page.getByRole("textbox", { name: "Licence key" }).fill(key);
    await page.keyboard.press("Enter");
  }

  async function result(): Promise<{ code: string; text: string; focused: boolean }> {
    const box = page.locator("#result");
    await box.waitFor();
    return {
      code: (await box.getAttribute("data-code")) ?? "",
      text: await box.innerText(),
      focused: await page.evaluate(() => document.activeElement?.id === "result-title"),
    };
  }

  const visible = (id: string): Promise<boolean> => page.locator(id).isVisible();
  const requests = async (): Promise<number> =>
    (await simulator.seen()).filter(({ operation }) => operation === "v2.validate").length;

  const outcomes = [
    { key: "L-VALID", code: "valid", says: /is valid.*Status\s+active.*Valid until\s+\S+/s },
    {
      key: "L-BOUND",
      code: "metadata_mismatch",
      says: /another machine.*Reset Key/s,
      orders: true,
      retry: true,
    },
    {
      key: "L-UNKNOWN",
      code: "not_found",
      says: /no licence with this key.*Copy the key/s,
      orders: true,
    },
    {
      key: "L-ENDED",
      code: "inactive",
      says: /no longer active.*renew/s,
      orders: true,
      retry: true,
    },
    { key: "L/NEVER", code: "invalid_argument", says: /Check what you entered/ },
    {
      key: "L-401",
      code: "unauthorized",
      says: /seller.*Your licence is not the cause.*Contact the seller/s,
    },
    { key: "L-429", code: "rate_limited", says: /pause.*was not checked.*Wait/s, retry: true },
    { key: "L-500", code: "unavailable", says: /can’t be reached.*was not checked/s, retry: true },
    {
      key: "L-RESET",
      code: "unavailable",
      says: /can’t be reached.*was not checked/s,
      retry: true,
    },
    { key: "L-HTML", code: "bad_response", says: /made no sense.*was not checked/s, retry: true },
    {
      key: "L-REDIRECT",
      code: "bad_response",
      says: /made no sense.*was not checked/s,
      retry: true,
    },
  ];

  test("says for every outcome what happened and what to do next", async () => {
    await simulator.add(
      { license_key: "L-VALID", expires_at: 1893456000 },
      { license_key: "L-BOUND", metadata: { HWID: "another" } },
      { license_key: "L-ENDED", status: "expired" },
      { license_key: "L-401", fault: "401" },
      { license_key: "L-429", fault: "429", fault_retry_after: "60" },
      { license_key: "L-500", fault: "500" },
      { license_key: "L-RESET", fault: "reset" },
      { license_key: "L-HTML", fault: "html" },
      { license_key: "L-REDIRECT", fault: "redirect" },
    );
    await open("#machine-id=one");
    for (const { key, code, says, orders = false, retry = false } of outcomes) {
      await check(key);
      const shown = await result();
      assert.equal(shown.code, code, key);
      assert.match(shown.text, says, key);
      assert.match(shown.text, /What to do next/);
      assert.ok(shown.focused, `${key}: the result did not take the focus`);
      assert.equal(await visible("#orders"), orders, `${key}: link to the orders`);
      assert.equal(await visible("#retry"), retry, `${key}: try again`);
      const invalid = await page
        .getByRole("textbox", { name: "Licence key" })
        .getAttribute("aria-invalid");
      assert.equal(invalid, String(code === "invalid_argument"), key);
    }
    const link = page.locator("#orders");
    assert.match((await link.getAttribute("href")) ?? "", /^https:\/\/whop\.com\//);
    assert.match((await link.getAttribute("rel")) ?? "", /noopener/);
  });

  test("after Reset Key, trying again works", async () => {
    await simulator.add({ license_key: "L-RESET-KEY", metadata: { HWID: "another" } });
    await open("#machine-id=one");
    await check("L-RESET-KEY");
    assert.equal((await result()).code, "metadata_mismatch");
    await simulator.control("reset/L-RESET-KEY");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator('#result[data-code="valid"]').waitFor();
  });

  test("sends the machine id of the fragment or the field, and nothing where there is none", async () => {
    await simulator.add({ license_key: "L-ID", fault: "403" });
    await open("#machine-id=from+the+app");
    await check("L-ID");
    await result();
    await page.getByText("Advanced").click();
    await page.getByLabel("Machine id").fill("by hand");
    await check("L-ID");
    await result();
    await page.evaluate(() => {
      location.hash = "machine-id=";
    });
    await page.waitForFunction(
      () => document.querySelector<HTMLInputElement>("#machine-id")?.value === "",
    );
    await check("L-ID");
    await result();
    const bodies = (await simulator.seen())
      .filter(({ operation }) => operation === "v2.validate")
      .map(({ body }) => JSON.parse(body));
    assert.deepEqual(bodies, [
      { metadata: { HWID: "from the app" } },
      { metadata: { HWID: "by hand" } },
      { metadata: {} },
    ]);
  });

  test("an empty field is pointed out without a request", async () => {
    await open();
    await check("   ");
    assert.equal(await page.locator("#license-key-error").innerText(), "Enter your licence key.");
    assert.equal(
      await page.getByRole("textbox", { name: "Licence key" }).getAttribute("aria-invalid"),
      "true",
    );
    assert.equal(await page.evaluate(() => document.activeElement?.id), "license-key");
    assert.equal(await visible("#result"), false);
    assert.equal(await requests(), 0);
  });

  test("shows that it is busy, asks only once, and can be cancelled", async () => {
    await simulator.add({ license_key: "L-HELD", fault: "timeout" });
    await open("#machine-id=one");
    for (const way of ["button", "Escape"]) {
      await simulator.forget();
      const sent = page.waitForRequest((request) => request.method() === "POST");
      await check("L-HELD");
      await sent;
      assert.equal(await page.locator("form").getAttribute("aria-busy"), "true");
      assert.equal(await page.getByRole("status").textContent(), "Checking the licence…");
      assert.equal(await page.locator("#submit").innerText(), "Checking…");
      await page.keyboard.press("Enter");
      await page.locator("#submit").click({ force: true });
      if (way === "button") await page.getByRole("button", { name: "Cancel" }).click();
      else await page.keyboard.press("Escape");
      const shown = await result();
      assert.equal(shown.code, "aborted");
      assert.ok(shown.focused);
      assert.equal(await page.locator("form").getAttribute("aria-busy"), "false");
      assert.equal(await visible("#cancel"), false);
      assert.ok((await requests()) <= 1);
    }
  });

  test("a server that says nothing is a timeout", async () => {
    await simulator.add({ license_key: "L-SILENT", fault: "timeout" });
    await page.clock.install();
    await open();
    const sent = page.waitForRequest((request) => request.method() === "POST");
    await check("L-SILENT");
    await sent;
    await page.clock.fastForward(20_000);
    const shown = await result();
    assert.equal(shown.code, "timeout");
    assert.match(shown.text, /was not checked/);
  });

  test("counts down to when the server may be asked again", async () => {
    await simulator.add({
      license_key: "L-LATER",
      fault: "429",
      fault_times: 1,
      fault_retry_after: "90",
    });
    await page.clock.install();
    await open("#machine-id=one");
    await check("L-LATER");
    assert.equal((await result()).code, "rate_limited");
    const retry = page.locator("#retry");
    assert.equal(await retry.getAttribute("aria-disabled"), "true");
    assert.match(await retry.innerText(), /Try again in 2 min/);
    await page.clock.fastForward(60_000);
    assert.match(await retry.innerText(), /Try again in \d\d s/);
    await retry.click({ force: true });
    assert.equal(await requests(), 1);
    await page.clock.fastForward(31_000);
    assert.equal(await retry.innerText(), "Try again");
    assert.equal(await page.getByRole("status").textContent(), "You can try again now.");
    await retry.click();
    await page.locator('#result[data-code="valid"]').waitFor();
  });

  test("offline, it says so, and works again afterwards", async () => {
    await simulator.add({ license_key: "L-OFFLINE" });
    await open("#machine-id=one");
    await page.waitForLoadState("networkidle");
    await context.setOffline(true);
    await check("L-OFFLINE");
    const shown = await result();
    assert.equal(shown.code, "unavailable");
    assert.match(shown.text, /You seem to be offline/);
    await context.setOffline(false);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator('#result[data-code="valid"]').waitFor();
  });

  test("a module that can't be loaded is said, and loaded by the next check", async () => {
    await simulator.add({ license_key: "L-LOAD" });
    await page.route("**/*.wasm", (route) => route.fulfill({ status: 404 }));
    await open("#machine-id=one");
    await check("L-LOAD");
    const shown = await result();
    assert.equal(shown.code, "load_failed");
    assert.match(shown.text, /was not checked.*Reload/s);
    await page.unroute("**/*.wasm");
    await check("L-LOAD");
    await page.locator('#result[data-code="valid"]').waitFor();
  });

  test("the server's words are text, never markup, and the report names no key", async () => {
    const words = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const hostile = await listen();
    hostile.handle((request, response) => {
      response.writeHead(request.method === "OPTIONS" ? 204 : 400, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "*",
        "Content-Type": "application/json",
      });
      response.end(JSON.stringify({ error: { message: words } }));
    });
    server.handle(launcherPage(hostile.origin));
    try {
      await open("#machine-id=the-machine-id");
      await check("L-SECRET-KEY-1234");
      assert.equal((await result()).code, "metadata_mismatch");
      await page.getByText("Details for support").click();
      const report = await page.locator("#result-report").innerText();
      assert.ok(report.includes(words), report);
      assert.ok(!report.includes("SECRET") && !report.includes("the-machine-id"));
      assert.equal(await page.locator("#result img, #result script").count(), 0);
      assert.equal(await page.title(), "Check your licence");
    } finally {
      server.handle(launcherPage(simulator.url));
      await hostile.close();
    }
  });

  test("works by keyboard alone", async () => {
    await simulator.add({ license_key: "L-KEYS", metadata: { HWID: "another" } });
    await open();
    const focus: string[] = [];
    const tab = async (): Promise<void> => {
      await page.keyboard.press("Tab");
      focus.push(
        await page.evaluate(() => {
          const at = document.activeElement;
          return at?.id || `${at?.parentElement?.id} ${at?.localName}`;
        }),
      );
    };
    await tab();
    await page.keyboard.type("L-KEYS");
    await tab();
    await page.keyboard.press("Space");
    await tab();
    await page.keyboard.type("one");
    await tab();
    await page.keyboard.press("Enter");
    assert.equal((await result()).code, "metadata_mismatch");
    await tab();
    await tab();
    await tab();
    assert.deepEqual(focus, [
      ...["license-key", "advanced summary", "machine-id", "submit"],
      ...["orders", "retry", "report summary"],
    ]);
  });

  test("its policy forbids what it doesn't need", async () => {
    const response = await page.goto(server.origin);
    const policy = response?.headers()["content-security-policy"] ?? "";
    for (const part of [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]) {
      assert.ok(policy.includes(part), policy);
    }
    assert.ok(policy.includes(`connect-src 'self' ${simulator.url};`), policy);
    assert.ok(!/unsafe-(inline|eval)(?<!wasm-unsafe-eval)/.test(policy), policy);
    // The page says the same by itself, where a seller's server sends no header.
    const own = await page.getAttribute('meta[http-equiv="Content-Security-Policy"]', "content");
    assert.equal(`${own}; frame-ancestors 'none'`, policy);
  });
});
